// The usual times to which things are put off.

const MORNING = 9;

/** Returns nine o'clock of tomorrow, or of the next such weekday (0: Sunday) behind today, where the agent is. */
export function nextMorning(now: Date, weekday: number | null): Date {
  const days = weekday === null ? 1 : ((weekday - now.getDay() + 6) % 7) + 1;
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, MORNING);
}
