import { expect, test } from "vitest";
import { fieldTime, readFieldTime, snoozeTimes } from "./snooze_times";

const ids = (now: Date) => snoozeTimes(now).map((time) => time.id);

test("in the morning the evening is offered, late in the day it is not", () => {
  expect(ids(new Date(2026, 10, 24, 9, 0))).toEqual(["hours", "evening", "tomorrow", "monday"]);
  expect(ids(new Date(2026, 10, 24, 16, 0))).toEqual(["hours", "tomorrow", "monday"]);
});

test("on a Sunday tomorrow is Monday, and stands there once", () => {
  expect(ids(new Date(2026, 10, 29, 20, 0))).toEqual(["hours", "tomorrow"]);
});

test("on a Monday the next one is meant", () => {
  const monday = snoozeTimes(new Date(2026, 10, 23, 10, 0)).find((time) => time.id === "monday");
  expect(monday?.at).toEqual(new Date(2026, 10, 30, 9, 0));
});

test("tomorrow goes over the end of a month", () => {
  const tomorrow = snoozeTimes(new Date(2026, 10, 30, 10, 0)).find((time) => time.id === "tomorrow");
  expect(tomorrow?.at).toEqual(new Date(2026, 11, 1, 9, 0));
});

test("every time lies ahead, the soonest first", () => {
  for (let hour = 0; hour < 24 * 7; hour++) {
    const now = new Date(2026, 10, 23, hour, 30);
    const times = snoozeTimes(now).map((time) => time.at.getTime());
    if (hour % 24 < 6 || hour % 24 > 20) continue; // at night "in three hours" may be tomorrow's morning
    expect(times).toEqual([...times].sort((one, other) => one - other));
    expect(times[0]).toBeGreaterThan(now.getTime());
  }
});

test("a field is read in the agent's own zone", () => {
  const now = new Date(2026, 10, 24, 9, 0);
  const at = new Date(2026, 10, 25, 8, 5);
  expect(fieldTime(at)).toBe("2026-11-25T08:05");
  expect(readFieldTime("2026-11-25T08:05", now)).toEqual(at);
});

test("an empty field and a time that has passed are no time", () => {
  const now = new Date(2026, 10, 24, 9, 0);
  expect(readFieldTime("", now)).toBeNull();
  expect(readFieldTime("2026-11-24T08:59", now)).toBeNull();
});
