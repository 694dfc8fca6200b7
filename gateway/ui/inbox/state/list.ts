// The list of the current view: pages by key, merged live without a jump, the rows that are chosen, the row one is at.

import { computed, effect, signal } from "@preact/signals";
import type { ConversationView, PageConversationView } from "../../generated/api";
import { ApiError, get } from "../../kit/api";
import { onInbox } from "./live";
import { type Place, go, place } from "./place";
import { agentId } from "./session";

const PAGE = 50;
const QUIET_MS = 150;
const MOST_ASKED_AT_ONCE = 20;

export const rows = signal<readonly ConversationView[]>([]);
export const isLoading = signal(false);
export const problem = signal<string | null>(null);
export const selected = signal<ReadonlySet<string>>(new Set());
const next = signal<string | null>(null);
export const hasMore = computed(() => next.value !== null);

let generation = 0;
const changed = new Set<string>();
let waiting = 0;

/** Returns what the API is asked for, for a place. */
export function queryOf(at: Place): Record<string, string> {
  if (at.q) return { q: at.q };
  if (at.queue) return { status: "open", queue: at.queue };
  switch (at.view) {
    case "mine":
      return { status: "open", assignee: "me" };
    case "unassigned":
      return { status: "open", assignee: "none" };
    case "snoozed":
    case "resolved":
      return { status: at.view };
    case "all":
      return { status: "open" };
  }
}

/** Tells whether a conversation stands in the list of a place; of a search nobody but the server knows. */
export function belongs(row: ConversationView, at: Place, agent: string | null): boolean {
  if (at.q) return false;
  const query = queryOf(at);
  if (query["status"] !== row.status) return false;
  if (query["queue"] && query["queue"] !== row.queue) return false;
  if (query["assignee"] === "me") return row.assignee?.id === agent;
  if (query["assignee"] === "none") return row.assignee === null;
  return true;
}

/** Puts what changed into its place: newest first; what is older than the last loaded row waits for its page. */
export function merge(
  rows: readonly ConversationView[],
  changed: readonly ConversationView[],
  isIn: (row: ConversationView) => boolean,
  isWhole: boolean,
): ConversationView[] {
  const fresh = new Map(changed.map((row) => [row.id, row]));
  const kept = rows.filter((row) => !fresh.has(row.id));
  const last = rows.at(-1);
  const added = changed.filter((row) => isIn(row) && (isWhole || !last || isBefore(row, last) || row.id === last.id));
  return [...kept, ...added].sort((one, other) => (isBefore(one, other) ? -1 : 1));
}

function isBefore(one: ConversationView, other: ConversationView): boolean {
  if (one.last_message_at !== other.last_message_at) return one.last_message_at > other.last_message_at;
  return one.id > other.id;
}

async function load(at: Place, after: string | null): Promise<void> {
  const mine = after === null ? ++generation : generation;
  isLoading.value = true;
  try {
    const page = await get<PageConversationView>("/v1/conversations", { ...queryOf(at), limit: PAGE, after });
    if (mine !== generation) return;
    const known = new Set(after === null ? [] : rows.value.map((row) => row.id));
    const fresh = page.items.filter((row) => !known.has(row.id));
    rows.value = after === null ? fresh : [...rows.value, ...fresh];
    next.value = page.next ?? null;
    problem.value = null;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (mine === generation) problem.value = error.message;
  } finally {
    if (mine === generation) isLoading.value = false;
  }
}

export function loadMore(): void {
  if (!isLoading.value && next.value) void load(place.value, next.value);
}

export function reload(): void {
  void load(place.value, null);
}

/** Takes in what the page itself has just changed, or read. */
export function take(conversations: readonly ConversationView[]): void {
  const at = place.value;
  if (at.q) {
    const fresh = new Map(conversations.map((row) => [row.id, row]));
    rows.value = rows.value.map((row) => fresh.get(row.id) ?? row);
    return;
  }
  rows.value = merge(rows.value, conversations, (row) => belongs(row, at, agentId.value), next.value === null);
}

async function catchUp(): Promise<void> {
  waiting = 0;
  const ids = [...changed];
  changed.clear();
  if (ids.length > MOST_ASKED_AT_ONCE) {
    reload();
    return;
  }
  const found = await Promise.allSettled(ids.map((id) => get<ConversationView>(`/v1/conversations/${id}`)));
  take(found.flatMap((one) => (one.status === "fulfilled" ? [one.value] : [])));
}

onInbox((change) => {
  if (change === null) {
    reload();
    return;
  }
  changed.add(change.conversation);
  waiting ||= window.setTimeout(() => void catchUp(), QUIET_MS);
});

// Another view, queue or search is another list; opening a conversation is not.
const listKey = computed(() => JSON.stringify(queryOf(place.value)));
effect(() => {
  void listKey.value;
  if (!agentId.value) return;
  selected.value = new Set();
  rows.value = [];
  void load(place.peek(), null);
});

/** Opens the row `by` rows further on; at the ends it stays. */
export function step(by: number): void {
  const at = rows.value.findIndex((row) => row.id === place.value.conversation);
  const row = rows.value[Math.min(rows.value.length - 1, Math.max(0, at + by))];
  if (row) go({ conversation: row.id });
  if (at + by >= rows.value.length - 5) loadMore();
}

export function toggle(id: string, isSelected = !selected.value.has(id)): void {
  const changedSet = new Set(selected.value);
  if (isSelected) changedSet.add(id);
  else changedSet.delete(id);
  selected.value = changedSet;
}
