import { expect, test } from "vitest";
import { windowOf } from "./window";

test("a window draws what is in sight and some around it", () => {
  const shown = windowOf(100_000, 60, 600_000, 900);
  expect(shown).toEqual({ first: 9992, end: 10023, before_px: 599_520, after_px: 5_398_620 });
});

test("all heights add up to the whole list wherever one stands", () => {
  for (const top of [0, 59, 60, 1234, 5_999_000, 9_999_999]) {
    const shown = windowOf(100_000, 60, top, 900);
    expect(shown.before_px + (shown.end - shown.first) * 60 + shown.after_px).toBe(6_000_000);
    expect(shown.end - shown.first).toBeLessThan(40);
  }
});

test("an empty list draws nothing", () => {
  expect(windowOf(0, 60, 0, 900)).toEqual({ first: 0, end: 0, before_px: 0, after_px: 0 });
});
