// `say("list.empty")`: the page's words in the agent's language. English is always there; others come when chosen.

import { signal } from "@preact/signals";
import { LANGUAGES, type Language, type Text, type Values, directionOf, fillIn, pickLanguage } from "../../kit/language";
import { type Catalogue, en } from "./en";

type Keys = { [S in keyof Catalogue]: `${S & string}.${keyof Catalogue[S] & string}` }[keyof Catalogue];

const CATALOGUES: Partial<Record<Language, () => Promise<{ default: Catalogue }>>> = Object.fromEntries(
  Object.entries(import.meta.glob<{ default: Catalogue }>(["./*.ts", "!./say.ts", "!./en.ts", "!./*.test.ts"])).map(
    ([path, load]) => [path.slice(2, -3), load],
  ),
);

/** The languages that the page has words in. */
export const SPOKEN: readonly Language[] = LANGUAGES.filter((one) => one === "en" || one in CATALOGUES);

export const language = signal<Language>("en");
const catalogue = signal<Catalogue>(en);

/** Shows the page in the first of `wanted` that we speak; loads its words first. */
export async function speak(wanted: readonly string[]): Promise<void> {
  const chosen = pickLanguage(wanted.filter((tag) => SPOKEN.some((one) => tag.toLowerCase().startsWith(one))));
  const load = CATALOGUES[chosen];
  const words = load ? (await load()).default : en;
  catalogue.value = words;
  language.value = chosen;
  document.documentElement.lang = chosen;
  document.documentElement.dir = directionOf(chosen);
}

/** Returns a text of the page, filled in. */
export function say(key: Keys, values?: Values): string {
  const [section, name] = key.split(".") as [keyof Catalogue, string];
  const text = (catalogue.value[section] as Record<string, Text>)[name] ?? (en[section] as Record<string, Text>)[name];
  return fillIn(text ?? key, language.value, values);
}
