// What is typed and not sent: kept on the server, and in this browser until the server has it.

import type { DraftView } from "../../generated/api";
import { ApiError, get, put } from "../../kit/api";

const QUIET_MS = 600;
const AGAIN_MS = 3000;
const PREFIX = "inbox.draft.";

interface Pending {
  text: string;
  timer: number;
}

const pending = new Map<string, Pending>();

/** Returns what was typed in a conversation: this browser's word where the server has not got it yet. */
export async function readDraft(conversation: string): Promise<string> {
  const local = localStorage.getItem(PREFIX + conversation);
  if (local !== null) {
    keepDraft(conversation, local);
    return local;
  }
  try {
    return (await get<DraftView>(`/v1/conversations/${conversation}/draft`)).text;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return "";
  }
}

/** Keeps `text` here at once and on the server soon; an empty one is no draft. */
export function keepDraft(conversation: string, text: string): void {
  localStorage.setItem(PREFIX + conversation, text);
  schedule(conversation, text, QUIET_MS);
}

function schedule(conversation: string, text: string, wait_ms: number): void {
  clearTimeout(pending.get(conversation)?.timer);
  pending.set(conversation, { text, timer: window.setTimeout(() => void send(conversation), wait_ms) });
}

async function send(conversation: string): Promise<void> {
  const draft = pending.get(conversation);
  if (!draft) return;
  try {
    await put<DraftView>(`/v1/conversations/${conversation}/draft`, { text: draft.text });
    if (pending.get(conversation) !== draft) return; // more was typed meanwhile
    pending.delete(conversation);
    localStorage.removeItem(PREFIX + conversation);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (pending.get(conversation) !== draft) return;
    if (error.isTransient || error.status === 401) schedule(conversation, draft.text, AGAIN_MS);
    else pending.delete(conversation);
  }
}

/** Sends what waits now: the page may be about to go away. */
export function flushDrafts(): void {
  for (const conversation of pending.keys()) void send(conversation);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) flushDrafts();
});
