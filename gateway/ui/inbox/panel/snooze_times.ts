// The usual times to look at a conversation again, in the agent's own day.

export interface SnoozeTime {
  id: "hours" | "evening" | "tomorrow" | "monday";
  at: Date;
}

const MORNING = 9;
const EVENING = 18;
const LATER_HOURS = 3;
const MONDAY = 1;

/** Returns the usual times from `now` on, soonest first; one that is close to another is left out. */
export function snoozeTimes(now: Date): SnoozeTime[] {
  const later = new Date(now.getTime() + LATER_HOURS * 3_600_000);
  later.setSeconds(0, 0);
  const times: SnoozeTime[] = [{ id: "hours", at: later }];
  const evening = onDay(now, 0, EVENING);
  if (evening.getTime() - later.getTime() >= 3_600_000) times.push({ id: "evening", at: evening });
  times.push({ id: "tomorrow", at: onDay(now, 1, MORNING) });
  const untilMonday = (MONDAY - now.getDay() + 7) % 7 || 7;
  if (untilMonday > 1) times.push({ id: "monday", at: onDay(now, untilMonday, MORNING) });
  return times;
}

function onDay(now: Date, days: number, hour: number): Date {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, hour);
}

/** Returns a time as a date-time field writes it, in the agent's own zone: "2026-11-24T18:00". */
export function fieldTime(at: Date): string {
  const two = (number: number) => String(number).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** Reads such a field; null while it says nothing, or a time that has passed. */
export function readFieldTime(value: string, now: Date): Date | null {
  const at = new Date(value);
  return Number.isNaN(at.getTime()) || at <= now ? null : at;
}
