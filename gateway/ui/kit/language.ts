// The twelve languages of every face, and how texts are looked up in them.

export const LANGUAGES = ["en", "es", "fr", "de", "it", "pt", "nl", "pl", "ar", "ja", "ko", "zh"] as const;
export type Language = (typeof LANGUAGES)[number];

/** A text with `{placeholders}`, or one for each plural form of `count` (Unicode CLDR). */
export type Text = string | ({ other: string } & Partial<Record<Intl.LDMLPluralRule, string>>);

export function directionOf(language: string): "ltr" | "rtl" {
  return /^(ar|fa|he|ur)\b/i.test(language) ? "rtl" : "ltr";
}

/** Returns the first of `wanted` (BCP 47) that we speak, else English. */
export function pickLanguage(wanted: readonly string[]): Language {
  for (const tag of wanted) {
    const base = tag.toLowerCase().split("-")[0];
    const found = LANGUAGES.find((language) => language === base);
    if (found) return found;
  }
  return "en";
}

export type Values = Readonly<Record<string, string | number>>;

/** Fills a text in; a placeholder without a value stands as it is, which a test then finds. */
export function fillIn(text: Text, language: string, values: Values = {}): string {
  const form = typeof text === "string" ? text : pluralForm(text, language, values["count"]);
  return form.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? new Intl.NumberFormat(language).format(value) : value;
  });
}

function pluralForm(text: Exclude<Text, string>, language: string, count: string | number | undefined): string {
  if (typeof count !== "number") return text.other;
  return text[new Intl.PluralRules(language).select(count)] ?? text.other;
}
