// Where the agent is, as the address bar says it: a view or queue, a conversation, a search.

import { computed, signal } from "@preact/signals";

export const VIEWS = ["mine", "unassigned", "all", "snoozed", "resolved"] as const;
export type ViewId = (typeof VIEWS)[number];

export interface Place {
  view: ViewId;
  queue: string | null;
  conversation: string | null;
  q: string;
}

/** Reads a place from a query; what makes no sense is as if it were not there. */
export function readPlace(search: string): Place {
  const query = new URLSearchParams(search);
  const view = VIEWS.find((one) => one === query.get("view")) ?? "all";
  return { view, queue: query.get("queue"), conversation: query.get("c"), q: query.get("q") ?? "" };
}

/** Writes a place as a query, the shortest that reads back as the same. */
export function writePlace(place: Place): string {
  const query = new URLSearchParams();
  if (place.view !== "all") query.set("view", place.view);
  if (place.queue) query.set("queue", place.queue);
  if (place.q) query.set("q", place.q);
  if (place.conversation) query.set("c", place.conversation);
  const text = query.toString();
  return text ? `?${text}` : "";
}

const current = signal(readPlace(location.search));
export const place = computed(() => current.value);

/** Goes somewhere; opening a conversation is a step that the back gesture takes back, going on to the next is not. */
export function go(change: Partial<Place>, { replace = false } = {}): void {
  const next = { ...current.value, ...change };
  const isStep = !replace && !(current.value.conversation && next.conversation);
  const address = location.pathname + writePlace(next);
  if (isStep) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  current.value = next;
}

window.addEventListener("popstate", () => {
  current.value = readPlace(location.search);
});
