// Words that come back to the composer: an answer that was refused, or taken back.

import { signal } from "@preact/signals";

export const givenBack = signal<{ conversation: string; text: string } | null>(null);

export function giveBack(conversation: string, text: string): void {
  givenBack.value = { conversation, text };
}
