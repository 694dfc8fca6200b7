// The chat's words in one language; each language is a file of its own that only its readers fetch.

import type { Language } from "../../kit/language";
import type { Words } from "./en";

const FILES: Record<Language, () => Promise<{ default: Words }>> = {
  en: () => import("./en"),
  es: () => import("./es"),
  fr: () => import("./fr"),
  de: () => import("./de"),
  it: () => import("./it"),
  pt: () => import("./pt"),
  nl: () => import("./nl"),
  pl: () => import("./pl"),
  ar: () => import("./ar"),
  ja: () => import("./ja"),
  ko: () => import("./ko"),
  zh: () => import("./zh"),
};

export async function loadWords(language: Language): Promise<Words> {
  return (await FILES[language]()).default;
}
