import { beforeEach, expect, test } from "vitest";
import { type ChatMessage, Store, customerOf, insert } from "./store";

beforeEach(() => localStorage.clear());

function message(id: string, seq: number, at = "2026-11-02T09:00:00Z"): ChatMessage {
  return { id, seq, client_id: null, direction: "outbound", text: id, attachments: [], author: null, at };
}

test("messages stand in their order, whatever order they come in, and none twice", () => {
  const all = [message("b", 2), message("a", 1), message("b", 2)].reduce(insert, [] as ChatMessage[]);
  expect(all.map((one) => one.id)).toEqual(["a", "b"]);
});

test("what was not taken is there after a reload, and gone once it is acknowledged", () => {
  const store = new Store("https://desk.example");
  store.wait({ id: "1", text: "Hello", attachments: [], topic: null, at: "2026-11-02T09:00:00Z" });
  const again = new Store("https://desk.example");
  expect(again.outbox.value.map((one) => one.text)).toEqual(["Hello"]);
  again.settle("1");
  expect(new Store("https://desk.example").outbox.value).toEqual([]);
});

test("another customer of the same browser sees nothing of the first", () => {
  const store = new Store("https://desk.example");
  store.keepToken("first");
  store.become("c-1");
  store.add(message("a", 1));
  const next = new Store("https://desk.example");
  next.become("c-1");
  expect(next.messages.value).toHaveLength(1);
  next.become("c-2");
  expect([next.token, next.messages.value.length]).toEqual([null, 0]);
});

test("a customer is read from an identity, and rubbish is nobody", () => {
  const body = btoa(JSON.stringify({ sub: "c-1" })).replace(/=+$/, "");
  expect(customerOf(`x.${body}.y`)).toBe("c-1");
  expect(customerOf("rubbish")).toBeNull();
});
