// What an agent likes, in this browser: the language and the light.

import { effect, signal } from "@preact/signals";
import { speak } from "../strings/say";

export const THEMES = ["auto", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

export const theme = signal<Theme>(THEMES.find((one) => one === localStorage.getItem("inbox.theme")) ?? "auto");
export const isPanelShown = signal(localStorage.getItem("inbox.panel") !== "hidden");

effect(() => {
  localStorage.setItem("inbox.theme", theme.value);
  if (theme.value === "auto") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme.value;
});
effect(() => localStorage.setItem("inbox.panel", isPanelShown.value ? "shown" : "hidden"));

export function preferredLanguages(): readonly string[] {
  const chosen = localStorage.getItem("inbox.language");
  return chosen ? [chosen, ...navigator.languages] : navigator.languages;
}

export function chooseLanguage(language: string): void {
  localStorage.setItem("inbox.language", language);
  void speak([language]);
}
