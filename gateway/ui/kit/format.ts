// Times, sizes and money as people of a language write them.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Returns how long ago, as short as it can be said: "4 min", "3 h", "2 d", then the date. */
export function age(at: string, now: number, language: string): string {
  const passed = Math.max(0, now - Date.parse(at));
  if (passed >= 7 * DAY) return new Intl.DateTimeFormat(language, { day: "numeric", month: "short" }).format(Date.parse(at));
  return amount(passed, language);
}

/** Returns a span of time in its largest whole unit; under a minute it is one. */
export function amount(span_ms: number, language: string): string {
  const [value, unit] =
    span_ms < HOUR
      ? [Math.max(1, Math.round(span_ms / MINUTE)), "minute"]
      : span_ms < 2 * DAY
        ? [Math.round(span_ms / HOUR), "hour"]
        : [Math.round(span_ms / DAY), "day"];
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "narrow" }).format(value);
}

export function clockTime(at: string, language: string): string {
  return new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit" }).format(Date.parse(at));
}

export function fullTime(at: string, language: string): string {
  return new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "short" }).format(Date.parse(at));
}

export function dayOf(at: string, language: string): string {
  return new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long" }).format(Date.parse(at));
}

/** Returns bytes in kB or MB, as people count them. */
export function fileSize(bytes: number, language: string): string {
  const [value, unit] = bytes < 1_000_000 ? [bytes / 1000, "kilobyte"] : [bytes / 1_000_000, "megabyte"];
  return new Intl.NumberFormat(language, { style: "unit", unit, maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);
}

export function money(value: { amount: string; currency: string }, language: string): string {
  return new Intl.NumberFormat(language, { style: "currency", currency: value.currency }).format(Number(value.amount));
}
