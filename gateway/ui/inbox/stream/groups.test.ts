import { expect, test } from "vitest";
import type { MessageView, StoredEvent } from "../../generated/api";
import { timeline } from "../state/timeline";
import { isFolded, layOut } from "./groups";

const day = (at: string) => at.slice(0, 10);

function message(seq: number, channel: MessageView["channel"], at = "2026-11-02T09:00:00Z"): MessageView {
  return { id: `m${seq}`, seq, channel, at } as MessageView;
}

function event(seq: number, type: StoredEvent["type"], at = "2026-11-02T09:00:00Z"): StoredEvent {
  return { seq, type, at, data: {} } as StoredEvent;
}

test("messages and events are one timeline by their numbers, and nothing is said twice", () => {
  const entries = timeline(
    [message(4, "sms"), message(2, "email")],
    [event(1, "conversation.started"), event(2, "message.received"), event(3, "note.added"), event(4, "message.queued"), event(5, "message.status")],
  );
  expect(entries.map((entry) => entry.seq)).toEqual([1, 2, 3, 4]);
});

test("a channel is marked where it changes", () => {
  const entries = timeline([message(1, "sms"), message(2, "sms"), message(3, "email"), message(4, "sms")], []);
  const marks = layOut(entries, day).flatMap((block) => (block.kind === "message" ? [block.isChannelNew] : []));
  expect(marks).toEqual([true, false, true, true]);
});

test("days are set apart", () => {
  const entries = timeline([message(1, "sms"), message(2, "sms", "2026-11-03T09:00:00Z")], []);
  expect(layOut(entries, day).map((block) => block.kind)).toEqual(["day", "message", "day", "message"]);
});

test("what happened in a row is one block, folded from the third on; notes stand on their own", () => {
  const entries = timeline([], [
    event(1, "conversation.started"),
    event(2, "conversation.assigned"),
    event(3, "conversation.snoozed"),
    event(4, "note.added"),
    event(5, "conversation.woken"),
  ]);
  const blocks = layOut(entries, day);
  expect(blocks.map((block) => block.kind)).toEqual(["day", "events", "note", "events"]);
  expect(blocks.flatMap((block) => (block.kind === "events" ? [isFolded(block.events)] : []))).toEqual([true, false]);
});
