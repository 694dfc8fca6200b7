import { expect, test } from "vitest";
import type { ConversationView } from "../../generated/api";
import type { Command } from "../state/commands";
import { type Known, putFirst, sectionsFor } from "./sections";

const command = (id: string, title = id): Command => ({ id, title: () => title, group: "other", run: () => {} });
const conversation = (id: string) => ({ id, channel: "email" }) as ConversationView;
const known = (more: Partial<Known> = {}): Known => ({
  commands: [command("resolve", "Resolve"), command("reply", "Reply"), command("assign", "Assign")],
  recentCommands: [],
  recentConversations: [],
  found: { conversations: [], contacts: [], orders: [] },
  ...more,
});
const shape = (query: string, of: Known) => sectionsFor(query, of).map((section) => [section.id, section.offers.map((offer) => offer.id)]);

test("without a query all commands are offered", () => {
  expect(shape("", known())).toEqual([["commands", ["command-resolve", "command-reply", "command-assign"]]]);
});

test("what was used last stands first, and once", () => {
  const of = known({ recentCommands: ["assign", "gone"], recentConversations: [conversation("c1")] });
  expect(shape("", of)).toEqual([
    ["recent", ["command-assign", "conversation-c1"]],
    ["commands", ["command-resolve", "command-reply"]],
  ]);
});

test("of commands that fit alike the one used lately is first", () => {
  const of = known({ commands: [command("one", "Resolve"), command("two", "Resolve")], recentCommands: ["two"] });
  expect(shape("res", of)).toEqual([["commands", ["command-two", "command-one"]]]);
});

test("what the search found stands below the commands, empty sections nowhere", () => {
  const contact = { id: "p1", name: "Ana", language: null, addresses: [] };
  const of = known({ found: { conversations: [conversation("c1")], contacts: [contact], orders: [] } });
  expect(shape("ana", of)).toEqual([
    ["conversations", ["conversation-c1"]],
    ["contacts", ["contact-p1"]],
  ]);
});

test("a list of recent things stays short", () => {
  expect(putFirst(["a", "b", "c"], "c", (one) => one, 3)).toEqual(["c", "a", "b"]);
  expect(putFirst(["a", "b", "c"], "d", (one) => one, 3)).toEqual(["d", "a", "b"]);
});
