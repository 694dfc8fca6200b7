// The keys of the list and of the page as a whole; what is done with a conversation is in panel/.

import { notice } from "../state/actions";
import { type Command, register } from "../state/commands";
import { rows, selected, step, toggle } from "../state/list";
import { go, place } from "../state/place";
import { say } from "../strings/say";

/** Returns whom a command is about: the selected ones, else the open one. */
export function chosen(): string[] {
  if (selected.value.size) return [...selected.value];
  return place.value.conversation ? [place.value.conversation] : [];
}

const isOpen = () => place.value.conversation !== null;

const COMMANDS: readonly Command[] = [
  { id: "next", title: () => say("palette.next"), group: "go", keys: ["j"], run: () => step(1) },
  { id: "previous", title: () => say("palette.previous"), group: "go", keys: ["k"], run: () => step(-1) },
  {
    id: "open",
    title: () => say("palette.open"),
    group: "go",
    keys: ["Enter"],
    isAvailable: () => !isOpen() && rows.value.length > 0,
    run: () => step(1),
  },
  {
    id: "close",
    title: () => say("palette.close"),
    group: "go",
    keys: ["Escape"],
    isAvailable: isOpen,
    run: () => go({ conversation: null }),
  },
  {
    id: "select",
    title: () => say("palette.select"),
    group: "conversation",
    keys: ["x"],
    isAvailable: isOpen,
    run: () => {
      if (place.value.conversation) toggle(place.value.conversation);
    },
  },
  {
    id: "undo",
    title: () => say("shell.undo"),
    group: "other",
    keys: ["u"],
    isAvailable: () => Boolean(notice.value?.undo),
    run: () => notice.value?.undo?.(),
  },
];

export function registerCommands(): () => void {
  return register(...COMMANDS);
}
