// What an agent does with conversations, one or many: done at once, told in one quiet line, taken back with Undo.

import { signal } from "@preact/signals";
import type { ConversationView } from "../../generated/api";
import { ApiError, get, post } from "../../kit/api";
import { say } from "../strings/say";
import { selected, take } from "./list";
import { refreshCounts } from "./views";

export interface Notice {
  text: string;
  isError?: boolean;
  undo?: () => void;
}

const NOTICE_MS = 10_000;
const MOST_AT_ONCE = 6;

export const notice = signal<Notice | null>(null);
let fading = 0;

export function tell(told: Notice): void {
  clearTimeout(fading);
  notice.value = told;
  fading = window.setTimeout(() => (notice.value = null), NOTICE_MS);
}

export function explain(error: unknown): string {
  if (!(error instanceof ApiError)) throw error;
  return error.status === 0 ? say("shell.unreachable") : error.message;
}

interface Act {
  name: string;
  body: object;
}

interface Done {
  before: ConversationView;
  error: string | null;
}

async function act(id: string, chosen: Act): Promise<Done> {
  const before = await get<ConversationView>(`/v1/conversations/${id}`);
  try {
    take([await post<ConversationView>(`/v1/conversations/${id}/${chosen.name}`, chosen.body)]);
    return { before, error: null };
  } catch (error) {
    return { before, error: explain(error) };
  }
}

async function actOnAll(ids: readonly string[], chosen: Act): Promise<Done[]> {
  const waiting = [...ids];
  const done: Done[] = [];
  const work = async () => {
    for (let id = waiting.shift(); id; id = waiting.shift()) done.push(await act(id, chosen));
  };
  await Promise.all(Array.from({ length: MOST_AT_ONCE }, work));
  return done;
}

async function perform(ids: readonly string[], chosen: Act, told: string, back: ((before: ConversationView) => Act) | null) {
  try {
    const done = await actOnAll(ids, chosen);
    const failed = done.filter((one) => one.error !== null);
    const worked = done.filter((one) => one.error === null);
    selected.value = new Set(failed.map((one) => one.before.id).filter((id) => selected.value.has(id)));
    refreshCounts();
    if (failed.length) {
      tell({ text: say("shell.some_failed", { count: failed.length, reason: failed[0]?.error ?? "" }), isError: true });
      return;
    }
    const undo = async () => {
      for (const { before } of worked) if (back) await act(before.id, back(before));
      refreshCounts();
      notice.value = null;
    };
    tell({ text: told, ...(back && { undo: () => void undo() }) });
  } catch (error) {
    tell({ text: explain(error), isError: true });
  }
}

const todo = (name: string, body: object = {}): Act => ({ name, body });

export function assign(ids: readonly string[], agent: { id: string; name: string } | null): void {
  const told = agent ? say("shell.assigned", { count: ids.length, name: agent.name }) : say("shell.unassigned", { count: ids.length });
  const chosen = todo("assign", { agent_id: agent?.id ?? null });
  void perform(ids, chosen, told, (before) => todo("assign", { agent_id: before.assignee?.id ?? null }));
}

export function transfer(ids: readonly string[], queue: string): void {
  const undo = (before: ConversationView) => todo("transfer", { queue: before.queue });
  void perform(ids, todo("transfer", { queue }), say("shell.transferred", { count: ids.length, queue }), undo);
}

export function resolve(ids: readonly string[]): void {
  void perform(ids, todo("resolve"), say("shell.resolved", { count: ids.length }), () => todo("reopen"));
}

export function reopen(ids: readonly string[]): void {
  void perform(ids, todo("reopen"), say("shell.reopened", { count: ids.length }), null);
}

export function snooze(ids: readonly string[], until: Date): void {
  const chosen = todo("snooze", { until: until.toISOString() });
  void perform(ids, chosen, say("shell.snoozed", { count: ids.length }), () => todo("reopen"));
}

export function setTopic(id: string, topic: string | null): void {
  const undo = (before: ConversationView) => todo("topic", { topic: before.topic });
  void perform([id], todo("topic", { topic }), say("shell.topic_set"), undo);
}
