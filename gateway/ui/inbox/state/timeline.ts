// Messages and what happened, as one timeline.

import type { MessageView, StoredEvent } from "../../generated/api";

// These are said by the messages themselves.
const OF_MESSAGES: ReadonlySet<string> = new Set(["message.received", "message.queued", "message.status", "attachment.ready"]);

/** One thing on the timeline: a message, or something that happened. */
export type Entry = { seq: number; at: string } & ({ message: MessageView } | { event: StoredEvent });

export function isMessage(entry: Entry): entry is Entry & { message: MessageView } {
  return "message" in entry;
}

/** Returns messages and events in the order of their numbers; what a message says itself is left out. */
export function timeline(messages: Iterable<MessageView>, events: Iterable<StoredEvent>): Entry[] {
  const entries: Entry[] = [];
  for (const message of messages) entries.push({ seq: message.seq, at: message.at, message });
  for (const event of events) {
    if (!OF_MESSAGES.has(event.type)) entries.push({ seq: event.seq, at: event.at, event });
  }
  return entries.sort((one, other) => one.seq - other.seq);
}
