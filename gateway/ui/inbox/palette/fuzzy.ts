// Finding by a few letters: "asg me" finds "Assign to me".

const NO_MATCH = -1;
const AT_START = 8;
const AT_WORD = 4;
const IN_A_ROW = 3;

/** Returns a text as it is compared: small letters, accents taken off. */
export function plain(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

/**
 * Returns how well `query` fits `text`, 0 and more, or -1: all letters, in their order, each word begun at a word where possible.
 */
export function score(query: string, text: string): number {
  const wanted = [...plain(query).replace(/\s+/g, "")];
  const letters = [...plain(text)];
  if (!wanted.length) return 0;
  let best = NO_MATCH;
  // Each place where the first letter stands may be the beginning; titles are short.
  for (let start = 0; start <= letters.length - wanted.length; start++) {
    if (letters[start] === wanted[0]) best = Math.max(best, scoreFrom(start, wanted, letters));
  }
  return best;
}

function scoreFrom(start: number, wanted: readonly string[], letters: readonly string[]): number {
  let total = 0;
  let before = NO_MATCH;
  for (const [index, letter] of wanted.entries()) {
    const at = placeOf(letter, letters, index === 0 ? start : before + 1, before);
    if (at === NO_MATCH) return NO_MATCH;
    total += 1;
    if (at === 0) total += AT_START;
    else if (isWordStart(letters, at)) total += AT_WORD;
    if (index > 0 && at === before + 1) total += IN_A_ROW;
    before = at;
  }
  // Of two that fit alike the shorter one is meant.
  return Math.max(0, total - letters.length / 100);
}

function placeOf(letter: string, letters: readonly string[], from: number, before: number): number {
  const first = letters.indexOf(letter, from);
  if (first === NO_MATCH || first === before + 1 || isWordStart(letters, first)) return first;
  for (let at = first + 1; at < letters.length; at++) {
    if (letters[at] === letter && isWordStart(letters, at)) return at;
  }
  return first;
}

function isWordStart(letters: readonly string[], at: number): boolean {
  return at === 0 || !/[\p{L}\p{N}]/u.test(letters[at - 1] ?? "");
}

/** Returns those that fit, the best first; those that fit alike stay in their order. Without a query all of them. */
export function rank<T>(query: string, things: readonly T[], textOf: (thing: T) => string): T[] {
  if (!query.trim()) return [...things];
  return things
    .map((thing) => ({ thing, fit: score(query, textOf(thing)) }))
    .filter((one) => one.fit > NO_MATCH)
    .sort((one, other) => other.fit - one.fit)
    .map((one) => one.thing);
}
