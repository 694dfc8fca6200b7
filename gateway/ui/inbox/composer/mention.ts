// Naming a colleague in a note.

/** Returns the word that is being typed at the caret if it begins with `sign`, with where it begins. */
export function wordAt(text: string, caret: number, sign: string): { word: string; start: number } | null {
  const before = text.slice(0, caret);
  const start = before.lastIndexOf(sign);
  if (start < 0 || (start > 0 && !/\s/.test(before[start - 1] ?? ""))) return null;
  const word = before.slice(start + 1);
  return /[\n]/.test(word) || word.length > 40 || /\s\s/.test(word) ? null : { word, start };
}
