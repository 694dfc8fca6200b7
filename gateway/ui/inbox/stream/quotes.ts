// Quoted history and signatures of mails, folded away. When in doubt, nothing is: text shown is better than text lost.

export interface Folded {
  words: string;
  quoted: string;
}

// How mail programs announce what they quote: a line that ends in a colon above quoted lines, or a ruler.
const RULER = /^\s*(?:-{2,}\s*(?:original|forwarded|ursprüngliche|mensaje|message d'origine|messaggio|mensagem|oorspronkelijk|wiadomość|الرسالة|元のメッセージ|원본|原始邮件)[^\n]*-{2,}|_{20,})\s*$/iu;
const SIGNATURE = /^-- ?$/;

/** Parts a mail's text into its new words and the history under them; other channels have none. */
export function fold(text: string, isMail: boolean): Folded {
  const trimmed = text.trim();
  if (!isMail) return { words: trimmed, quoted: "" };
  const lines = trimmed.split("\n");
  const cut = findCut(lines);
  if (cut <= 0) return { words: trimmed, quoted: "" };
  return { words: lines.slice(0, cut).join("\n").trim(), quoted: lines.slice(cut).join("\n").trim() };
}

function findCut(lines: readonly string[]): number {
  for (const [at, line] of lines.entries()) {
    if (RULER.test(line) || SIGNATURE.test(line)) return at;
    if (!line.startsWith(">")) continue;
    // Only what is quoted to the end is history; an answer between the lines is read with what it answers.
    if (lines.slice(at).some((one) => one.trim() && !one.startsWith(">"))) return -1;
    let start = at;
    while (start > 0 && !lines[start - 1]?.trim()) start -= 1;
    // "On Monday Ana wrote:", over two lines at most.
    if (lines[start - 1]?.trimEnd().endsWith(":") || lines[start - 1]?.trimEnd().endsWith("：")) {
      start -= 1;
      if (start > 0 && lines[start - 1]?.trim() && !lines[start - 1]?.trimEnd().match(/[.!?。]$/)) start -= 1;
    }
    return start;
  }
  return -1;
}
