// The contact of the open conversation, with all that is known; merged with another, and parted again.

import { computed, effect, signal } from "@preact/signals";
import type { ContactCardView, ContactView } from "../../generated/api";
import { ApiError, get, post } from "../../kit/api";
import { say } from "../strings/say";
import { explain, tell } from "./actions";
import { open } from "./open";
import { me } from "./session";

const MOST_KEPT = 20;

/** What was merged into a contact and can be parted again. */
export interface Merge {
  contact_id: string;
  name: string | null;
  at: string;
}

const cards = signal<ReadonlyMap<string, ContactCardView>>(new Map());
/** A contact that was looked up, shown in place of the open conversation's. */
export const lookedUp = signal<string | null>(null);
export const problem = signal<string | null>(null);

const openId = computed(() => open.value?.id ?? null);
const ofConversation = computed(() => open.value?.conversation.value?.contact.id ?? null);
export const contactId = computed(() => lookedUp.value ?? ofConversation.value);
export const contact = computed(() => (contactId.value ? (cards.value.get(contactId.value) ?? null) : null));

/** The number of the last event that changed what is known of the contact. */
const lastChange = computed(() => {
  const entries = open.value?.entries.value ?? [];
  return entries.reduce((last, entry) => ("event" in entry && entry.event.type.startsWith("contact.") ? entry.seq : last), 0);
});

function keep(id: string, card: ContactCardView): void {
  const all = new Map(cards.peek());
  all.delete(id);
  all.set(id, card);
  for (const old of all.keys()) {
    if (all.size <= MOST_KEPT) break;
    all.delete(old);
  }
  cards.value = all;
}

/** Reads the contact again. What was known stays on the screen meanwhile. */
export async function reloadContact(): Promise<void> {
  const id = contactId.peek();
  if (!id) return;
  try {
    keep(id, await get<ContactCardView>(`/v1/contacts/${id}`));
    if (id === contactId.peek()) problem.value = null;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (id === contactId.peek()) problem.value = explain(error);
  }
}

effect(() => {
  void openId.value;
  lookedUp.value = null;
});
effect(() => {
  void contactId.value;
  void lastChange.value;
  problem.value = null;
  if (me.value) void reloadContact();
});
effect(() => {
  // Somebody else may log in here: nothing that was read for one is shown to the other.
  if (!me.value) cards.value = new Map();
});

export interface Person {
  id: string;
  name: string | null;
}

async function change(request: () => Promise<ContactView>, told: string, undo: (() => void) | null): Promise<boolean> {
  try {
    await request();
    tell({ text: told, ...(undo && { undo }) });
    return true;
  } catch (error) {
    tell({ text: explain(error), isError: true });
    return false;
  } finally {
    await Promise.all([reloadContact(), open.peek()?.refresh()]);
  }
}

/** Makes `from` part of `into`; false where it was not done, which is then told. */
export function merge(into: Person, from: Person, reason: string): Promise<boolean> {
  const body = { contact_id: from.id, ...(reason.trim() && { reason: reason.trim() }) };
  const undo = () => void part(into, from, null);
  return change(() => post<ContactView>(`/v1/contacts/${into.id}/merge`, body), say("panel.merged"), undo);
}

/** Makes a contact that was merged one of its own again; `reason` is what a merge that takes it back says. */
export function unmerge(into: Person, from: Person, reason: string): Promise<boolean> {
  return part(into, from, () => void merge(into, from, reason));
}

function part(into: Person, from: Person, undo: (() => void) | null): Promise<boolean> {
  return change(() => post<ContactView>(`/v1/contacts/${from.id}/unmerge`), say("panel.unmerged", { name: into.name ?? "" }), undo);
}
