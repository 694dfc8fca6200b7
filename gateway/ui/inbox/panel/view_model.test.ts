import { expect, test } from "vitest";
import type { AddressView, ContactCardView, ConversationView, OrderView } from "../../generated/api";
import { addressLines, historyOf, orderItems, plainWords, safeLink, titleOf } from "./view_model";

const address = (kind: AddressView["kind"], more: object = {}) =>
  ({ id: kind, kind, value: `${kind}-value`, verified: true, suppressed: null, undeliverable_reason: null, ...more }) as AddressView;

test("mail stands first, what people can't read last", () => {
  const lines = addressLines([address("visitor"), address("phone"), address("email_claim", { verified: false }), address("email")]);
  expect(lines.map((line) => line.id)).toEqual(["email", "email_claim", "phone", "visitor"]);
  expect(lines.map((line) => line.isTechnical)).toEqual([false, false, false, true]);
});

test("an address that is not proved is a claim", () => {
  expect(addressLines([address("email_claim", { verified: false })])[0]?.proof).toBe("claimed");
});

test("a suppressed address says why, an undeliverable one too", () => {
  const line = addressLines([address("phone", { suppressed: { reason: "STOP", at: "" }, undeliverable_reason: "gone" })])[0];
  expect(line).toMatchObject({ suppressed: "STOP", undeliverable: "gone", consent: [] });
});

test("consent is shown where it is known", () => {
  const consent = [{ purpose: "marketing", state: "given", at: "2026-01-01T00:00:00Z" }];
  expect(addressLines([address("email", { consent })])[0]?.consent).toEqual(consent);
});

test("the open conversation is none of the earlier ones, and the newest stand first", () => {
  const conversation = (id: string, last_message_at: string) => ({ id, last_message_at }) as ConversationView;
  const card = {
    orders: [{ id: "old", placed_at: "2026-01-01" }, { id: "new", placed_at: "2026-02-01" }],
    conversations: [conversation("a", "2026-01-01"), conversation("b", "2026-03-01"), conversation("c", "2026-02-01")],
  } as unknown as ContactCardView;
  const history = historyOf(card, "b");
  expect(history.orders.map((order) => order.id)).toEqual(["new", "old"]);
  expect(history.conversations.map((one) => one.id)).toEqual(["c", "a"]);
});

test.each([["javascript:alert(1)"], ["data:text/html,x"], ["not a link"], [""], [null]])("%s is not followed", (url) => {
  expect(safeLink(url)).toBeNull();
});

test("a tracking link is followed", () => {
  expect(safeLink("https://example.com/p?n=1")).toBe("https://example.com/p?n=1");
});

test("items are read as far as they can be", () => {
  const items = [{ name: "Serum", quantity: 2 }, { sku: "CREAM-50" }, { name: 3 }, {}];
  expect(orderItems({ items } as unknown as OrderView)).toEqual([{ name: "Serum", quantity: 2 }, { name: "CREAM-50", quantity: 1 }]);
});

test("statuses are said in plain words", () => {
  expect(plainWords("out_for_delivery")).toBe("out for delivery");
});

test("a contact without a name is called by an address that people can read", () => {
  expect(titleOf({ name: null, addresses: [{ kind: "visitor", value: "v" }, { kind: "phone", value: "+1" }] })).toBe("+1");
  expect(titleOf({ name: "Ana", addresses: [] })).toBe("Ana");
  expect(titleOf({ name: null, addresses: [] })).toBeNull();
});
