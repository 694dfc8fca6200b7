// Everything that the page can do, each with its name and keys: what the one key listener, the palette and the overview use.

import { type ReadonlySignal, computed, signal } from "@preact/signals";
import type { IconName } from "../../kit/icons";
import { SEQUENCE_MS, isWriting, matchKeys, presses, strokeOf, worksWhileWriting } from "../palette/keys";

export interface Command {
  id: string;
  title: () => string;
  group: "conversation" | "go" | "reply" | "other";
  /** Such as "e", "Control+k" or "g m"; the first one is shown. */
  keys?: readonly string[];
  icon?: IconName;
  /** Where it says no, the command is not offered and its keys do nothing. */
  isAvailable?: () => boolean;
  run: () => void;
}

const registered = signal<readonly Command[]>([]);

/** Every command that is registered, in the order of registration. */
export const commands: ReadonlySignal<Command[]> = computed(() => [...registered.value]);

/** Offers commands until the returned function is called; one with the same id takes the earlier one's place. */
export function register(...added: readonly Command[]): () => void {
  const ids = new Set(added.map((command) => command.id));
  registered.value = [...registered.peek().filter((other) => !ids.has(other.id)), ...added];
  return () => {
    registered.value = registered.peek().filter((other) => !added.includes(other));
  };
}

export function isAvailable(command: Command): boolean {
  return command.isAvailable?.() ?? true;
}

/** The keys of a sequence that were pressed so far; empty most of the time. */
export const pendingKeys = signal<readonly string[]>([]);

let pendingSince = 0;

/** Does what a key press means; true where it meant a command or the beginning of one. */
export function handleKey(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || event.isComposing) return false;
  const stroke = strokeOf(event);
  if (stroke === null || presses(stroke, event.target)) return false;
  if (isWriting(event.target) && !worksWhileWriting(stroke)) return false;
  const before = event.timeStamp - pendingSince <= SEQUENCE_MS ? pendingKeys.peek() : [];
  const usable = registered.peek().filter(isAvailable);
  const match = matchKeys(usable, [...before, stroke]) ?? (before.length ? matchKeys(usable, [stroke]) : null);
  pendingKeys.value = match && "pending" in match ? match.pending : [];
  if (!match) return false;
  if ("pending" in match) {
    pendingSince = event.timeStamp;
    return true;
  }
  // A key that is held down moves on through a list, and does nothing else again and again.
  if (event.repeat && match.found.group !== "go") return true;
  match.found.run();
  return true;
}

/** Starts the page's one key listener; returns what stops it. */
export function listenToKeys(): () => void {
  const onKey = (event: KeyboardEvent) => {
    if (handleKey(event)) event.preventDefault();
  };
  document.addEventListener("keydown", onKey);
  return () => document.removeEventListener("keydown", onKey);
}
