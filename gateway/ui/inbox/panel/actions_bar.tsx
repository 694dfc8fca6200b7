// The bar over the stream: whose it is, where it goes, when it comes back, whether it is done; each with its key.

import { effect } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { ConversationView } from "../../generated/api";
import { Icon, type IconName } from "../../kit/icons";
import { KeyCaps } from "../palette/keycaps";
import { isPanelShown } from "../shell/preferences";
import { open } from "../state/open";
import { place } from "../state/place";
import { say } from "../strings/say";
import { type MenuId, endOrReopen, openMenu, targets } from "./commands";
import { AssignMenu, SnoozeMenu, TopicMenu, TransferMenu } from "./menus";

// Where there is no room for the panel beside the stream it lies over it, and nobody wants that with every conversation.
const noRoom = matchMedia("(max-width: 1180px)");
effect(() => {
  void place.value.conversation;
  openMenu.value = null;
  if (noRoom.matches) isPanelShown.value = false;
});

export function ConversationActions() {
  const conversation = open.value?.conversation.value;
  if (!conversation) return <div class="actions" />;
  return (
    <div class="actions">
      <Heading conversation={conversation} />
      <div class="buttons" role="toolbar" aria-label={say("palette.conversation")}>
        <Menu id="assign" icon="person" keys="a" text={conversation.assignee?.name ?? say("panel.assign")} label={say("palette.assign")}>
          <AssignMenu ids={targets()} conversation={conversation} close={closeMenu} />
        </Menu>
        <Menu id="transfer" icon="transfer" keys="t" text={conversation.queue} label={say("palette.transfer")}>
          <TransferMenu ids={targets()} queue={conversation.queue} close={closeMenu} />
        </Menu>
        <Menu id="snooze" icon="snooze" keys="z" text={say("panel.snooze")} label={say("palette.snooze")}>
          <SnoozeMenu ids={targets()} close={closeMenu} />
        </Menu>
        <Menu id="topic" icon="question" keys="o" text={conversation.topic ?? say("panel.topic")} label={say("palette.topic")}>
          <TopicMenu conversation={conversation} close={closeMenu} />
        </Menu>
        <EndButton conversation={conversation} />
        <PanelButton />
      </div>
    </div>
  );
}

function closeMenu(): void {
  openMenu.value = null;
}

function Heading({ conversation }: { conversation: ConversationView }) {
  const language = conversation.language ?? undefined;
  return (
    <h2 class="who">
      <bdi>{conversation.contact.name ?? say("list.someone")}</bdi>
      {conversation.subject && <bdi class="second" lang={language}>{conversation.subject}</bdi>}
    </h2>
  );
}

interface MenuProps {
  id: MenuId;
  icon: IconName;
  keys: string;
  text: string;
  label: string;
  children: ComponentChildren;
}

function Menu({ id, icon, keys, text, label, children }: MenuProps) {
  const isShown = openMenu.value === id;
  return (
    <div class="menu">
      <button
        class="button quiet"
        title={label}
        aria-haspopup="listbox"
        aria-expanded={isShown}
        aria-keyshortcuts={keys}
        onClick={() => (openMenu.value = isShown ? null : id)}
      >
        <Icon name={icon} />
        <span class="unseen">{label}: </span>
        <bdi class="text">{text}</bdi>
        <KeyCaps keys={keys} />
      </button>
      {isShown && children}
    </div>
  );
}

function EndButton({ conversation }: { conversation: ConversationView }) {
  const isResolved = conversation.status === "resolved";
  const text = say(isResolved ? "panel.reopen" : "panel.resolve");
  return (
    <button class="button" title={text} aria-keyshortcuts="e" onClick={() => endOrReopen([conversation.id], conversation.status)}>
      <Icon name={isResolved ? "reopen" : "check"} />
      <span class="text">{text}</span>
      <KeyCaps keys="e" />
    </button>
  );
}

function PanelButton() {
  const text = say(isPanelShown.value ? "panel.hide" : "panel.show");
  return (
    <button
      class="button quiet"
      title={text}
      aria-expanded={isPanelShown.value}
      aria-keyshortcuts="p"
      onClick={() => (isPanelShown.value = !isPanelShown.value)}
    >
      <Icon name="panel" label={text} />
      <KeyCaps keys="p" />
    </button>
  );
}
