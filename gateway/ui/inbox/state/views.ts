// How much waits in each view and queue, and who works here.

import { signal } from "@preact/signals";
import type { ColleagueView, CountView, InboxViews, PageColleagueView } from "../../generated/api";
import { ApiError, get } from "../../kit/api";
import { onInbox } from "./live";

const QUIET_MS = 400;

export const counts = signal<ReadonlyMap<string, CountView>>(new Map());
export const queues = signal<readonly string[]>([]);
export const agents = signal<readonly ColleagueView[]>([]);

let waiting = 0;

async function load(): Promise<void> {
  try {
    const found = await get<InboxViews>("/v1/views");
    counts.value = new Map([
      ...found.views.map((one) => [`view:${one.id}`, one] as const),
      ...found.queues.map((one) => [`queue:${one.id}`, one] as const),
    ]);
    queues.value = found.queues.map((one) => one.id);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // the next notice asks again
  }
}

/** Many things may happen at once; they are counted once. */
export function refreshCounts(): void {
  if (waiting) return;
  waiting = window.setTimeout(() => {
    waiting = 0;
    void load();
  }, QUIET_MS);
}

export async function loadPeople(): Promise<void> {
  await load();
  try {
    agents.value = (await get<PageColleagueView>("/v1/agents")).items;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}

onInbox(refreshCounts);
