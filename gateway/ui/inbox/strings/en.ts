// What the inbox says, in English: the source of every other catalogue. One section for each part of the page.
// Short, no exclamation mark, no blame. An error says what happened, what was kept, and what to do.

import type { Text } from "../../kit/language";

export const en = {
  shell: {
    title: "Inbox",
  },
  list: {},
  stream: {},
  composer: {},
  panel: {},
  palette: {},
} satisfies Record<string, Record<string, Text>>;

/** The shape that every language has: the same sections and keys; a test finds gaps and copies. */
export type Catalogue = { [S in keyof typeof en]: { [K in keyof (typeof en)[S]]: Text } };

export default en;
