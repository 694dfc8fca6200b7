// The commands about conversations and where to go; the bar over the stream shows the same ones as buttons.

import { signal } from "@preact/signals";
import type { ConversationStatus } from "../../generated/api";
import type { IconName } from "../../kit/icons";
import { isPanelShown } from "../shell/preferences";
import { reopen, resolve } from "../state/actions";
import type { Command } from "../state/commands";
import { selected } from "../state/list";
import { open } from "../state/open";
import { VIEWS, go, place } from "../state/place";
import { say } from "../strings/say";

export type MenuId = "assign" | "transfer" | "snooze" | "topic";

/** The list that is open under its button in the bar. */
export const openMenu = signal<MenuId | null>(null);

/** Returns whom a command is about: the selected conversations, else the open one. */
export function targetsOf(selection: ReadonlySet<string>, opened: string | null): string[] {
  if (selection.size) return [...selection];
  return opened ? [opened] : [];
}

export function targets(): string[] {
  return targetsOf(selected.value, place.value.conversation);
}

/** Ends conversations, or opens again the one that is resolved; selected ones are always ended. */
export function endOrReopen(ids: readonly string[], status: ConversationStatus | undefined): void {
  if (ids.length === 1 && ids[0] === place.peek().conversation && status === "resolved") reopen(ids);
  else resolve(ids);
}

function openedStatus(): ConversationStatus | undefined {
  return open.value?.conversation.value?.status;
}

const isOpen = () => Boolean(open.value?.conversation.value);

function menu(id: MenuId, keys: string, icon: IconName): Command {
  return {
    id,
    title: () => say(`palette.${id}`),
    group: "conversation",
    keys: [keys],
    icon,
    isAvailable: isOpen,
    run: () => (openMenu.value = id),
  };
}

const VIEW_KEYS: Readonly<Record<string, string>> = {
  mine: "g m",
  unassigned: "g u",
  all: "g a",
  mentions: "g i",
  snoozed: "g s",
  resolved: "g r",
};

const VIEW_COMMANDS = VIEWS.map((view): Command => {
  const keys = VIEW_KEYS[view];
  return {
    id: `go_${view}`,
    title: () => say(`list.${view}`),
    group: "go",
    ...(keys && { keys: [keys] }),
    icon: "queue",
    run: () => go({ view, queue: null, q: "", conversation: null }),
  };
});

export const COMMANDS: readonly Command[] = [
  menu("assign", "a", "person"),
  {
    id: "end",
    title: () => (selected.value.size === 0 && openedStatus() === "resolved" ? say("panel.reopen") : say("panel.resolve")),
    group: "conversation",
    keys: ["e"],
    icon: "check",
    isAvailable: () => targets().length > 0,
    run: () => endOrReopen(targets(), openedStatus()),
  },
  menu("snooze", "z", "snooze"),
  menu("transfer", "t", "transfer"),
  menu("topic", "o", "question"),
  {
    id: "panel",
    title: () => say("palette.panel"),
    group: "other",
    keys: ["p"],
    icon: "panel",
    isAvailable: isOpen,
    run: () => (isPanelShown.value = !isPanelShown.value),
  },
  { id: "search", title: () => say("palette.search"), group: "go", keys: ["/"], icon: "search", run: toSearch },
  ...VIEW_COMMANDS,
];

// On a phone the list, and the search field with it, is behind the conversation.
function toSearch(): void {
  const field = document.getElementById("search");
  if (field && field.offsetParent === null) go({ conversation: null });
  requestAnimationFrame(() => document.getElementById("search")?.focus());
}
