import { expect, test } from "vitest";
import { LANGUAGES, type Text, fillIn } from "../../kit/language";
import type { Words } from "./en";
import { loadWords } from "./words";

const texts = (text: Text): string[] => (typeof text === "string" ? [text] : (Object.values(text) as string[]));
const placeholders = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();

test.each(LANGUAGES)("%s says everything, with the same placeholders, and copies no other language", async (language) => {
  const english = await loadWords("en");
  const words = await loadWords(language);
  expect(Object.keys(words).sort()).toEqual(Object.keys(english).sort());
  for (const key of Object.keys(english) as (keyof Words)[]) {
    const wanted = new Set(texts(english[key]).flatMap(placeholders));
    for (const text of texts(words[key])) {
      expect(text.trim()).not.toBe("");
      // A plural form may say its number in words.
      for (const name of placeholders(text)) expect(wanted).toContain(name);
      if (language !== "en" && key !== "us") expect(texts(english[key]), `${language} ${key}`).not.toContain(text);
    }
    expect(texts(words[key]).flatMap(placeholders)).toEqual(expect.arrayContaining([...wanted]));
  }
});

test.each(LANGUAGES)("%s has every plural form that it needs", async (language) => {
  const words = await loadWords(language);
  const rules = new Intl.PluralRules(language);
  for (const count of [0, 1, 2, 3, 5, 11, 22, 100]) {
    const form = (words.answers_within as Record<string, string>)[rules.select(count)];
    expect(form ?? (words.answers_within as { other: string }).other).toBeTruthy();
    expect(fillIn(words.answers_within, language, { count })).not.toContain("{");
  }
});
