import { describe, expect, test } from "vitest";
import { type Press, isWriting, keyCaps, matchKeys, parseKeys, presses, strokeOf, worksWhileWriting } from "./keys";

const press = (key: string, more: Partial<Press> = {}): Press => ({
  key,
  code: "",
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  shiftKey: false,
  ...more,
});

describe("parsing", () => {
  test.each([
    ["e", ["e"]],
    ["E", ["e"]],
    ["Control+k", ["Control+k"]],
    ["Meta+K", ["Control+k"]],
    ["shift+ctrl+P", ["Control+Shift+p"]],
    ["g m", ["g", "m"]],
    ["+", ["+"]],
    ["Escape", ["Escape"]],
  ])("%s is understood", (keys, strokes) => {
    expect(parseKeys(keys)).toEqual(strokes);
  });

  test("Command on a Mac and Control elsewhere are the same", () => {
    expect(strokeOf(press("k", { metaKey: true }))).toBe("Control+k");
    expect(strokeOf(press("k", { ctrlKey: true }))).toBe("Control+k");
  });

  test("a question mark is one on every keyboard, however it is typed", () => {
    expect(strokeOf(press("?", { shiftKey: true }))).toBe("?");
    expect(strokeOf(press("?"))).toBe("?");
  });

  test("a capital letter is not the small one", () => {
    expect(strokeOf(press("E", { shiftKey: true }))).toBe("Shift+e");
  });

  test("caps lock changes nothing", () => {
    expect(strokeOf(press("E"))).toBe("e");
  });

  test("letters of other scripts count by their place", () => {
    expect(strokeOf(press("ث", { code: "KeyE" }))).toBe("e");
    expect(strokeOf(press("у", { code: "KeyE", ctrlKey: true }))).toBe("Control+e");
  });

  test("letters in Latin layouts count by what they write", () => {
    expect(strokeOf(press("a", { code: "KeyQ" }))).toBe("a");
  });

  test("a modifier alone means nothing", () => {
    expect(strokeOf(press("Shift", { shiftKey: true }))).toBeNull();
  });
});

describe("matching", () => {
  const things = [
    { id: "resolve", keys: ["e"] },
    { id: "mine", keys: ["g m"] },
    { id: "palette", keys: ["Control+k", "Control+p"] },
    { id: "late", keys: ["e"] },
  ];

  test("the last one registered wins", () => {
    expect(matchKeys(things, ["e"])).toEqual({ found: things[3] });
  });

  test("a sequence is pending until it is whole", () => {
    expect(matchKeys(things, ["g"])).toEqual({ pending: ["g"] });
    expect(matchKeys(things, ["g", "m"])).toEqual({ found: things[1] });
    expect(matchKeys(things, ["g", "x"])).toBeNull();
  });

  test("every spelling of a command is found", () => {
    expect(matchKeys(things, ["Control+p"])).toEqual({ found: things[2] });
  });

  test("what nobody registered is nothing", () => {
    expect(matchKeys(things, ["q"])).toBeNull();
  });
});

test("text fields take letters, check boxes don't", () => {
  const field = document.createElement("input");
  const box = Object.assign(document.createElement("input"), { type: "checkbox" });
  expect(isWriting(field)).toBe(true);
  expect(isWriting(document.createElement("textarea"))).toBe(true);
  expect(isWriting(box)).toBe(false);
  expect(isWriting(document.body)).toBe(false);
});

test("Enter belongs to a button that has the focus", () => {
  const icon = document.createElement("button").appendChild(document.createElement("span"));
  expect(presses("Enter", icon)).toBe(true);
  expect(presses("e", icon)).toBe(false);
  expect(presses("Enter", document.body)).toBe(false);
});

test("while writing only Control and Escape are commands", () => {
  expect(worksWhileWriting("Control+k")).toBe(true);
  expect(worksWhileWriting("Escape")).toBe(true);
  expect(worksWhileWriting("e")).toBe(false);
});

test("keys are shown as they stand on the keyboard", () => {
  expect(keyCaps("Control+k", false)).toEqual([["Ctrl", "K"]]);
  expect(keyCaps("Control+k", true)).toEqual([["⌘", "K"]]);
  expect(keyCaps("g m", false)).toEqual([["g"], ["m"]]);
  expect(keyCaps("?", false)).toEqual([["?"]]);
});
