// Ctrl-K: everything that can be done or found, by a few letters and the arrow keys. `?`: the shortcuts.

import { useComputed, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { Icon } from "../../kit/icons";
import { COMMANDS } from "../panel/commands";
import { type Command, commands, isAvailable, pendingKeys, register } from "../state/commands";
import { startSearch } from "../state/search";
import { say } from "../strings/say";
import { KeyCaps } from "./keycaps";
import { OfferText } from "./offer_text";
import { take } from "./open_found";
import { Overview } from "./overview";
import { type Offer, type Section, iconOf, sectionsFor } from "./sections";
import { recentCommands, recentConversations, showing } from "./showing";

const OVER_THE_PAGE: readonly Command[] = [
  { id: "palette", title: () => say("palette.open_palette"), group: "other", keys: ["Control+k"], icon: "search", run: () => (showing.value = "palette") },
  { id: "shortcuts", title: () => say("palette.open_shortcuts"), group: "other", keys: ["?"], icon: "question", run: () => (showing.value = "shortcuts") },
];

export function Palette() {
  useEffect(() => register(...COMMANDS, ...OVER_THE_PAGE), []);
  return (
    <>
      {showing.value === "palette" && (
        <Over label={say("palette.title")}>
          <Finder />
        </Over>
      )}
      {showing.value === "shortcuts" && (
        <Over label={say("palette.shortcuts")}>
          <Overview />
        </Over>
      )}
      {pendingKeys.value.length > 0 && (
        <p class="pending" role="status">
          <KeyCaps keys={pendingKeys.value.join(" ")} /> <span class="second">{say("palette.pending")}</span>
        </p>
      )}
    </>
  );
}

/** A dialog over the page: the browser keeps the focus in it and gives it back afterwards. */
function Over({ label, children }: { label: string; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  const close = () => {
    dialog.current?.close();
    showing.value = null;
  };
  return (
    <dialog
      class="over"
      ref={dialog}
      aria-label={label}
      onCancel={close}
      onClick={(event) => event.target === event.currentTarget && close()}
      onKeyDown={(event) => {
        // Keys mean what the dialog says while it is open, not what the page says.
        event.stopPropagation();
        if (event.key !== "Escape" || event.isComposing) return;
        event.preventDefault();
        close();
      }}
    >
      {children}
    </dialog>
  );
}

function Finder() {
  const search = useMemo(() => startSearch(5), []);
  useEffect(() => search.stop, []);
  const at = useSignal(0);
  const sections = useComputed(() =>
    sectionsFor(search.query.value, {
      commands: commands.value.filter((command) => command.id !== "palette" && isAvailable(command)),
      recentCommands: recentCommands.value,
      recentConversations: recentConversations.value,
      found: search.found.value,
    }),
  );
  const offers = useComputed(() => sections.value.flatMap((section) => section.offers));
  const chosen = offers.value[Math.min(at.value, offers.value.length - 1)];
  useEffect(() => {
    if (chosen) document.getElementById(`offer-${chosen.id}`)?.scrollIntoView({ block: "nearest" });
  }, [chosen?.id]);
  const move = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    const last = offers.value.length - 1;
    const here = Math.min(at.value, last);
    const to = { ArrowDown: here >= last ? 0 : here + 1, ArrowUp: here <= 0 ? last : here - 1, PageDown: Math.min(last, here + 8), PageUp: Math.max(0, here - 8) }[event.key];
    if (to !== undefined) at.value = to;
    else if (event.key === "Enter" && chosen) run(chosen);
    else return;
    event.preventDefault();
  };
  return (
    <>
      <input
        class="field finder"
        role="combobox"
        dir="auto"
        autofocus
        autocomplete="off"
        spellcheck={false}
        aria-label={say("palette.title")}
        aria-expanded="true"
        aria-controls="offers"
        aria-activedescendant={chosen && `offer-${chosen.id}`}
        placeholder={say("palette.placeholder")}
        value={search.query.value}
        onInput={(event) => {
          search.query.value = event.currentTarget.value;
          at.value = 0;
        }}
        onKeyDown={move}
      />
      <div class="offers" id="offers" role="listbox" aria-label={say("palette.title")}>
        {sections.value.map((section) => (
          <Offers key={section.id} section={section} chosen={chosen} />
        ))}
      </div>
      <p class="second hint" role="status">
        {search.problem.value ?? (offers.value.length === 0 ? say(search.isSearching.value ? "palette.searching" : "palette.nothing") : "")}
      </p>
    </>
  );
}

// The dialog closes first: the focus goes back to where it was, and the command may then move it on.
function run(offer: Offer): void {
  document.querySelector<HTMLDialogElement>("dialog.over")?.close();
  take(offer);
}

function Offers({ section, chosen }: { section: Section; chosen: Offer | undefined }) {
  return (
    <div role="group" aria-labelledby={`offers-${section.id}`}>
      <h2 class="second" id={`offers-${section.id}`}>{say(`palette.${section.id}`)}</h2>
      {section.offers.map((offer) => (
        <div
          key={offer.id}
          id={`offer-${offer.id}`}
          class="offer"
          role="option"
          aria-selected={offer === chosen}
          onPointerDown={(event) => event.preventDefault()}
          onClick={() => run(offer)}
        >
          <Icon name={iconOf(offer)} />
          <OfferText offer={offer} />
          {offer.kind === "command" && offer.command.keys?.[0] && <KeyCaps keys={offer.command.keys[0]} />}
        </div>
      ))}
    </div>
  );
}
