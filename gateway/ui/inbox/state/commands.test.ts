import { afterEach, beforeEach, expect, test } from "vitest";
import { commands, listenToKeys, pendingKeys, register } from "./commands";

let ran: string[] = [];
let undo: (() => void)[] = [];

const add = (id: string, keys: string[], more: object = {}) =>
  undo.push(register({ id, title: () => id, group: "other", keys, run: () => ran.push(id), ...more }));

function type(key: string, more: KeyboardEventInit = {}, target: EventTarget = document.body, at?: number): KeyboardEvent {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more });
  if (at !== undefined) Object.defineProperty(event, "timeStamp", { value: at });
  target.dispatchEvent(event);
  return event;
}

beforeEach(() => {
  ran = [];
  undo = [listenToKeys()];
});

afterEach(() => {
  undo.forEach((take) => take());
  document.body.replaceChildren();
});

test("a key runs its command and does nothing else", () => {
  add("resolve", ["e"]);
  expect(type("e").defaultPrevented).toBe(true);
  expect(ran).toEqual(["resolve"]);
});

test("a key without a command is left alone", () => {
  expect(type("q").defaultPrevented).toBe(false);
});

test("letters typed into a field are no commands, Control is", () => {
  add("resolve", ["e"]);
  add("palette", ["Control+k"]);
  const field = document.body.appendChild(document.createElement("textarea"));
  type("e", {}, field);
  type("k", { ctrlKey: true }, field);
  expect(ran).toEqual(["palette"]);
});

test("a sequence waits a moment for its second key", () => {
  add("mine", ["g m"]);
  add("mark", ["m"]);
  type("g", {}, document.body, 1000);
  expect(pendingKeys.value).toEqual(["g"]);
  type("m", {}, document.body, 1800);
  expect(ran).toEqual(["mine"]);
  type("g", {}, document.body, 3000);
  type("m", {}, document.body, 9000);
  expect(ran).toEqual(["mine", "mark"]);
});

test("a wrong second key is taken by itself", () => {
  add("mine", ["g m"]);
  add("resolve", ["e"]);
  type("g", {}, document.body, 1000);
  type("e", {}, document.body, 1100);
  expect(ran).toEqual(["resolve"]);
  expect(pendingKeys.value).toEqual([]);
});

test("what is not available is not run", () => {
  add("resolve", ["e"], { isAvailable: () => false });
  expect(type("e").defaultPrevented).toBe(false);
  expect(ran).toEqual([]);
});

test("a key held down repeats movement only", () => {
  add("next", ["j"], { group: "go" });
  add("resolve", ["e"]);
  type("j", { repeat: true });
  type("e", { repeat: true });
  expect(ran).toEqual(["next"]);
});

test("what an input method composes is no command", () => {
  add("resolve", ["e"]);
  type("e", { isComposing: true });
  expect(ran).toEqual([]);
});

test("a command that is registered again takes the place of the first", () => {
  const before = commands.value.length;
  add("resolve", ["e"]);
  add("resolve", ["x"]);
  expect(commands.value.length).toBe(before + 1);
  type("e");
  type("x");
  expect(ran).toEqual(["resolve"]);
});

test("several are taken back together", () => {
  const before = commands.value.length;
  const take = register(...["one", "two"].map((id) => ({ id, title: () => id, group: "go" as const, run: () => {} })));
  expect(commands.value.length).toBe(before + 2);
  take();
  expect(commands.value.length).toBe(before);
});
