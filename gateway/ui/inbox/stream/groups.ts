// How a timeline is laid out: days apart, and what merely happened folded where there is much of it.

import type { StoredEvent } from "../../generated/api";
import { type Entry, isMessage } from "../state/timeline";

const FOLDED_FROM = 3;

export type Block =
  | { kind: "day"; key: string; at: string }
  | { kind: "message"; key: string; entry: Extract<Entry, { message: unknown }>; isChannelNew: boolean }
  | { kind: "note"; key: string; event: StoredEvent }
  | { kind: "events"; key: string; events: StoredEvent[] };

/** Returns the blocks of a timeline; `dayOf` names the day of a time, where the reader is. */
export function layOut(entries: readonly Entry[], dayOf: (at: string) => string): Block[] {
  const blocks: Block[] = [];
  let day = "";
  let channel = "";
  for (const entry of entries) {
    if (dayOf(entry.at) !== day) {
      day = dayOf(entry.at);
      blocks.push({ kind: "day", key: `day-${entry.seq}`, at: entry.at });
    }
    if (isMessage(entry)) {
      blocks.push({ kind: "message", key: entry.message.id, entry, isChannelNew: entry.message.channel !== channel });
      channel = entry.message.channel;
    } else if (entry.event.type === "note.added") {
      blocks.push({ kind: "note", key: `note-${entry.seq}`, event: entry.event });
    } else {
      const last = blocks.at(-1);
      if (last?.kind === "events") last.events.push(entry.event);
      else blocks.push({ kind: "events", key: `events-${entry.seq}`, events: [entry.event] });
    }
  }
  return blocks;
}

export function isFolded(events: readonly StoredEvent[]): boolean {
  return events.length >= FOLDED_FROM;
}
