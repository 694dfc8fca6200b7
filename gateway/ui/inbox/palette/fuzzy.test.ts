import { expect, test } from "vitest";
import { rank, score } from "./fuzzy";

const titles = ["Resolve", "Reopen", "Assign to me", "Assign to somebody", "Transfer", "Snooze", "Set the topic", "Notes"];
const find = (query: string) => rank(query, titles, (title) => title);

test("the first letters find a title", () => {
  expect(find("res")[0]).toBe("Resolve");
});

test("the first letters of its words find it", () => {
  expect(find("am")[0]).toBe("Assign to me");
  expect(find("stt")[0]).toBe("Set the topic");
});

test("letters count in their order only", () => {
  expect(find("vloser")).toEqual([]);
});

test("letters in a row go before letters scattered", () => {
  expect(rank("note", ["Snooze it to ten", "Notes"], (title) => title)[0]).toBe("Notes");
});

test("of two that fit alike the shorter is first", () => {
  expect(find("assign to")[0]).toBe("Assign to me");
});

test("accents and capitals don't matter", () => {
  expect(score("ecole", "École")).toBeGreaterThan(0);
  expect(score("ÉCOLE", "ecole")).toBeGreaterThan(0);
});

test("without a query everything stays in its order", () => {
  expect(find("  ")).toEqual(titles);
});

test("scripts without capitals are found too", () => {
  expect(rank("解决", ["转移", "解决"], (title) => title)).toEqual(["解决"]);
});
