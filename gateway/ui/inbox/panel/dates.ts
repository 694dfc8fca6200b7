// Days as the panel shows them.

/** Returns a day; the year only where it is another one than now. */
export function shortDate(at: string, language: string, now = new Date()): string {
  const day = new Date(at.length === 10 ? `${at}T12:00:00` : at);
  const year = day.getFullYear() === now.getFullYear() ? {} : ({ year: "numeric" } as const);
  return new Intl.DateTimeFormat(language, { day: "numeric", month: "short", ...year }).format(day);
}
