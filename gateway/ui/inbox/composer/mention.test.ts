import { expect, test } from "vitest";
import { wordAt } from "./mention";

test("a sign counts at the start of a word alone", () => {
  expect(wordAt("@Le", 3, "@")).toEqual({ word: "Le", start: 0 });
  expect(wordAt("Ask @Lena V", 11, "@")).toEqual({ word: "Lena V", start: 4 });
  expect(wordAt("ana@example", 11, "@")).toBeNull();
  expect(wordAt("plain", 5, "@")).toBeNull();
});
