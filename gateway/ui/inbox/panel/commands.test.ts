import { expect, test } from "vitest";
import { parseKeys } from "../palette/keys";
import { COMMANDS, targetsOf } from "./commands";

test("a command is about what is selected, else about what is open", () => {
  expect(targetsOf(new Set(["a", "b"]), "c")).toEqual(["a", "b"]);
  expect(targetsOf(new Set(), "c")).toEqual(["c"]);
  expect(targetsOf(new Set(), null)).toEqual([]);
});

test("no two commands have the same keys, and none is the beginning of another's", () => {
  const all = COMMANDS.flatMap((command) => (command.keys ?? []).map((keys) => parseKeys(keys).join(" ")));
  expect(new Set(all).size).toBe(all.length);
  for (const keys of all) {
    expect(all.filter((other) => other !== keys && other.startsWith(`${keys} `))).toEqual([]);
  }
});

test("every view has its keys", () => {
  for (const command of COMMANDS.filter((one) => one.id.startsWith("go_"))) expect(command.keys).toHaveLength(1);
});
