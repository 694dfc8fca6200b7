import { expect, test } from "vitest";
import { countSegments } from "./segments";

test.each([
  ["", 0, 160],
  ["a".repeat(160), 1, 0],
  ["a".repeat(161), 2, 145],
  ["€".repeat(80), 1, 0],
  ["€".repeat(81), 2, 143],
  ["ж".repeat(70), 1, 0],
  ["ж".repeat(71), 2, 63],
  ["😀".repeat(35), 1, 0],
  ["😀".repeat(36), 2, 61],
  ["ç", 1, 69],
])("%j", (text, count, left) => {
  expect(countSegments(text)).toEqual({ count, left });
});

test("an extended sign is not cut between two segments", () => {
  expect(countSegments("a".repeat(152) + "€".repeat(8)).count).toBe(2);
});
