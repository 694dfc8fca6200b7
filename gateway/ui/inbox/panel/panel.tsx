// The side panel: who the customer is, how they are reached, what they bought, what was said before.

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import type { ContactCardView } from "../../generated/api";
import { Icon } from "../../kit/icons";
import { isPanelShown } from "../shell/preferences";
import { contact, contactId, lookedUp, problem, reloadContact } from "../state/contact";
import { language, say } from "../strings/say";
import { Addresses } from "./addresses";
import { Earlier } from "./earlier";
import { Merging } from "./merging";
import { Orders } from "./orders";
import { shortDate } from "./dates";
import { titleOf } from "./view_model";

const SKELETON_AFTER_MS = 200;

export function Panel() {
  const card = contact.value;
  return (
    <aside class="panel" aria-label={say("panel.title")}>
      <header>
        {card ? <Who card={card} /> : <h2>{say("panel.title")}</h2>}
        <button class="button quiet" title={say("panel.hide")} onClick={() => (isPanelShown.value = false)}>
          <Icon name="close" label={say("panel.hide")} />
        </button>
      </header>
      {lookedUp.value && (
        <button class="button" onClick={() => (lookedUp.value = null)}>
          <Icon name="back" /> {say("panel.back_to_open")}
        </button>
      )}
      {problem.value && (
        <p class="error" role="alert">
          {say("panel.not_loaded", { reason: problem.value })}{" "}
          <button class="button" onClick={() => void reloadContact()}>{say("panel.try_again")}</button>
        </p>
      )}
      {card ? <Card key={card.id} card={card} /> : <Waiting />}
    </aside>
  );
}

function Who({ card }: { card: ContactCardView }) {
  return (
    <div class="person">
      <h2 dir="auto">{titleOf(card) ?? say("list.someone")}</h2>
      <p class="second">
        {card.language && <span>{say("panel.speaks", { language: nameOf(card.language) })} · </span>}
        {say("panel.since", { date: shortDate(card.created_at, language.value) })}
      </p>
    </div>
  );
}

function nameOf(tag: string): string {
  try {
    return new Intl.DisplayNames([language.value], { type: "language" }).of(tag) ?? tag;
  } catch (error) {
    if (error instanceof RangeError) return tag; // the shop said something that is no language
    throw error;
  }
}

function Card({ card }: { card: ContactCardView }) {
  return (
    <>
      <Addresses addresses={card.addresses} />
      <Orders card={card} />
      <Earlier card={card} />
      <Merging card={card} />
    </>
  );
}

/** A part of the panel under its own heading. */
export function Part({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section>
      <h3>{title}</h3>
      {children}
    </section>
  );
}

function Waiting() {
  const isSlow = useSignal(false);
  useEffect(() => {
    const timer = setTimeout(() => (isSlow.value = true), SKELETON_AFTER_MS);
    return () => clearTimeout(timer);
  }, []);
  if (problem.value) return null;
  if (!contactId.value) return isSlow.value ? <p class="second">{say("panel.choose")}</p> : null;
  return isSlow.value ? (
    <div class="skeleton" role="status" aria-label={say("panel.loading")}>
      <span /> <span /> <span />
    </div>
  ) : null;
}
