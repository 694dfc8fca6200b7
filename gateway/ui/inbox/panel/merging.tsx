// Two contacts that are one person become one here, and two again; both with the reason, both taken back with Undo.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { ContactCardView } from "../../generated/api";
import { Icon } from "../../kit/icons";
import { ContactText } from "../palette/offer_text";
import { type Merge, type Person, merge, unmerge } from "../state/contact";
import { type FoundContact, startSearch } from "../state/search";
import { language, say } from "../strings/say";
import { shortDate } from "./dates";
import { Part } from "./panel";
import { titleOf } from "./view_model";

export function Merging({ card }: { card: ContactCardView }) {
  const into: Person = { id: card.id, name: titleOf(card) };
  const merges = "merges" in card ? (card.merges as readonly Merge[]) : [];
  const isSearching = useSignal(false);
  return (
    <>
      {merges.length > 0 && (
        <Part title={say("panel.merges")}>
          <ul class="merges">
            {merges.map((one) => (
              <Merged key={one.contact_id} into={into} merged={one} />
            ))}
          </ul>
        </Part>
      )}
      <section>
        {isSearching.value ? (
          <MergeForm into={into} close={() => (isSearching.value = false)} />
        ) : (
          <button class="button quiet" onClick={() => (isSearching.value = true)}>
            <Icon name="join" /> {say("panel.merge")}
          </button>
        )}
      </section>
    </>
  );
}

function Merged({ into, merged }: { into: Person; merged: Merge }) {
  const isAsking = useSignal(false);
  const from: Person = { id: merged.contact_id, name: merged.name };
  return (
    <li>
      <p>
        <bdi>{merged.name ?? say("list.someone")}</bdi> <span class="second">{shortDate(merged.at, language.value)}</span>
      </p>
      {isAsking.value ? (
        <ReasonForm
          label={say("panel.unmerge_reason")}
          action={say("panel.unmerge")}
          run={(reason) => unmerge(into, from, reason)}
          close={() => (isAsking.value = false)}
        />
      ) : (
        <button class="button quiet" onClick={() => (isAsking.value = true)}>{say("panel.unmerge")}</button>
      )}
    </li>
  );
}

function MergeForm({ into, close }: { into: Person; close: () => void }) {
  const search = useMemo(() => startSearch(), []);
  useEffect(() => search.stop, []);
  const chosen = useSignal<FoundContact | null>(null);
  const field = useFirstFocus();
  const found = search.found.value.contacts.filter((contact) => contact.id !== into.id);
  const isNone = Boolean(search.query.value.trim()) && !search.isSearching.value && !found.length && !search.problem.value;
  if (chosen.value) {
    const from: Person = { id: chosen.value.id, name: titleOf(chosen.value) };
    return (
      <ReasonForm
        label={say("panel.merge_reason")}
        action={say("panel.merge_into", { name: from.name ?? say("list.someone") })}
        run={(reason) => merge(into, from, reason)}
        close={close}
      />
    );
  }
  return (
    <div class="merge_form" onKeyDown={(event) => leaveOnEscape(event, close)}>
      <label>
        <span class="label">{say("panel.merge")}</span>
        <input
          ref={field}
          class="field"
          type="search"
          dir="auto"
          autocomplete="off"
          placeholder={say("panel.merge_hint")}
          value={search.query.value}
          onInput={(event) => (search.query.value = event.currentTarget.value)}
        />
      </label>
      <ul>
        {found.map((contact) => (
          <li key={contact.id}>
            <button class="offer" onClick={() => (chosen.value = contact)}>
              <Icon name="person" /> <ContactText contact={contact} />
            </button>
          </li>
        ))}
      </ul>
      <p class="second" role="status">{search.problem.value ?? (isNone ? say("panel.merge_none") : "")}</p>
      <button class="button quiet" onClick={close}>{say("panel.cancel")}</button>
    </div>
  );
}

interface ReasonProps {
  label: string;
  action: string;
  run: (reason: string) => Promise<boolean>;
  close: () => void;
}

function ReasonForm({ label, action, run, close }: ReasonProps) {
  const reason = useSignal("");
  const isBusy = useSignal(false);
  const field = useFirstFocus();
  const submit = async (event: Event) => {
    event.preventDefault();
    if (isBusy.value) return;
    isBusy.value = true;
    const isDone = await run(reason.value);
    isBusy.value = false;
    if (isDone) close();
  };
  return (
    <form class="merge_form" onSubmit={(event) => void submit(event)} onKeyDown={(event) => leaveOnEscape(event, close)}>
      <label>
        <span class="label">{label}</span>
        <input
          ref={field}
          class="field"
          dir="auto"
          maxLength={500}
          required
          value={reason.value}
          onInput={(event) => (reason.value = event.currentTarget.value)}
        />
      </label>
      <button class="button" aria-disabled={isBusy.value}>{action}</button>
      <button class="button quiet" type="button" onClick={close}>{say("panel.cancel")}</button>
    </form>
  );
}

/** Takes the focus when it appears. */
function useFirstFocus() {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  return field;
}

function leaveOnEscape(event: KeyboardEvent, close: () => void): void {
  if (event.key !== "Escape" || event.isComposing) return;
  event.preventDefault();
  close();
}
