// Which of the two lists of commands lies over the page, and what was used last.

import { effect, signal } from "@preact/signals";
import type { ConversationView } from "../../generated/api";
import { open } from "../state/open";
import { me } from "../state/session";
import { putFirst } from "./sections";

export const showing = signal<"palette" | "shortcuts" | null>(null);

const KEY = "inbox.recent_commands";
const MOST_COMMANDS = 5;
const MOST_CONVERSATIONS = 6;

export const recentCommands = signal<readonly string[]>(readRecent());
/** The last conversations that were open; names of customers are kept in this page only. */
export const recentConversations = signal<readonly ConversationView[]>([]);

function readRecent(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((id) => typeof id === "string") : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

export function rememberCommand(id: string): void {
  recentCommands.value = putFirst(recentCommands.peek(), id, (one) => one, MOST_COMMANDS);
  localStorage.setItem(KEY, JSON.stringify(recentCommands.peek()));
}

effect(() => {
  const shown = open.value?.conversation.value;
  if (shown) recentConversations.value = putFirst(recentConversations.peek(), shown, (one) => one.id, MOST_CONVERSATIONS);
});
effect(() => {
  if (!me.value) recentConversations.value = [];
});
