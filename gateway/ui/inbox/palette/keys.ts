// Keys as commands name them: "e", "Control+k" (Control or, on a Mac, Command), "g m" (one after the other), "Escape".

export interface Press {
  key: string;
  code: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  shiftKey: boolean;
}

const MODIFIERS = ["Control", "Alt", "Shift"] as const;
const MODIFIER_KEYS: ReadonlySet<string> = new Set(["Control", "Alt", "AltGraph", "Shift", "Meta", "CapsLock", "Fn", "Dead"]);

/** How long a sequence waits for its next key, in milliseconds. */
export const SEQUENCE_MS = 1500;

/** Returns the strokes of a shortcut in one spelling: "Shift+Control+K" and "control+shift+k" are the same. */
export function parseKeys(keys: string): string[] {
  return keys
    .trim()
    .split(/\s+/)
    .map((stroke) => {
      const parts = stroke === "+" ? ["+"] : stroke.split("+");
      const key = parts.pop() ?? "";
      const held = parts.map((part) => (/^(cmd|command|meta|mod|ctrl)$/i.test(part) ? "control" : part.toLowerCase()));
      return spell(key, (modifier) => held.includes(modifier.toLowerCase()));
    });
}

/** Returns what was pressed in that spelling, or null for a modifier alone. */
export function strokeOf(press: Press): string | null {
  if (MODIFIER_KEYS.has(press.key)) return null;
  const key = latinKey(press);
  // Shift is part of the character: "?" is "?" on every keyboard, whatever it takes to type it.
  const isCharacter = [...key].length === 1;
  const held = { Control: press.ctrlKey || press.metaKey, Alt: press.altKey, Shift: press.shiftKey };
  return spell(key, (modifier) => (modifier === "Shift" && isCharacter && !isLetter(key) ? false : held[modifier]));
}

// On a keyboard that writes Arabic, Greek or Cyrillic the letters' places count.
function latinKey(press: Press): string {
  const place = /^Key([A-Z])$/.exec(press.code)?.[1];
  return place && /^[^\x00-\x7f]$/u.test(press.key) ? place.toLowerCase() : press.key;
}

function isLetter(key: string): boolean {
  return /^\p{L}$/u.test(key);
}

function spell(key: string, isHeld: (modifier: (typeof MODIFIERS)[number]) => boolean): string {
  const name = [...key].length === 1 ? key.toLowerCase() : key;
  return [...MODIFIERS.filter(isHeld), name].join("+");
}

/** True where the keyboard writes text, so that letters are no commands. */
export function isWriting(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !/^(button|checkbox|radio|submit|reset|file)$/.test(target.type);
}

/** True where Enter and Space press what has the focus: a button, a link, a line that unfolds. */
export function presses(stroke: string, target: EventTarget | null): boolean {
  if (stroke !== "Enter" && stroke !== " ") return false;
  return target instanceof Element && target.closest("button, a[href], summary, input, [role=option]") !== null;
}

/** True for a stroke that means a command even where text is written. */
export function worksWhileWriting(stroke: string): boolean {
  return stroke === "Escape" || stroke.startsWith("Control+");
}

export type Match<T> = { found: T } | { pending: string[] } | null;

/**
 * Finds what the strokes so far mean: a thing, the beginning of a sequence, or nothing.
 * Of several with the same keys the last one wins: what came to the page later lies above.
 */
export function matchKeys<T extends { keys?: readonly string[] }>(things: readonly T[], strokes: readonly string[]): Match<T> {
  let isPrefix = false;
  for (const thing of [...things].reverse()) {
    for (const keys of thing.keys ?? []) {
      const wanted = parseKeys(keys);
      if (!strokes.every((stroke, at) => stroke === wanted[at])) continue;
      if (wanted.length === strokes.length) return { found: thing };
      isPrefix = true;
    }
  }
  return isPrefix ? { pending: [...strokes] } : null;
}

/** Returns what stands on the keys, one list for each stroke: "Control+k" is Ctrl K, on a Mac ⌘ K. */
export function keyCaps(keys: string, isMac: boolean): string[][] {
  const names: Record<string, string> = isMac
    ? { Control: "⌘", Alt: "⌥", Shift: "⇧", Escape: "Esc", Enter: "↵" }
    : { Control: "Ctrl", Escape: "Esc" };
  const arrows: Record<string, string> = { ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→", " ": "Space" };
  return parseKeys(keys).map((stroke) => {
    const parts = stroke === "+" ? ["+"] : stroke.split("+");
    const isAlone = parts.length === 1;
    return parts.map((part) => names[part] ?? arrows[part] ?? (isAlone || part.length > 1 ? part : part.toUpperCase()));
  });
}
