// What the palette offers for a query: commands by a few letters, then what the search found; without a query the recent first.

import type { ConversationView } from "../../generated/api";
import type { IconName } from "../../kit/icons";
import type { Command } from "../state/commands";
import type { Found, FoundContact, FoundOrder } from "../state/search";
import { rank } from "./fuzzy";

export type Offer =
  | { kind: "command"; id: string; command: Command }
  | { kind: "conversation"; id: string; conversation: ConversationView }
  | { kind: "contact"; id: string; contact: FoundContact }
  | { kind: "order"; id: string; order: FoundOrder };

export interface Section {
  id: "recent" | "commands" | "conversations" | "contacts" | "orders";
  offers: Offer[];
}

export interface Known {
  commands: readonly Command[];
  recentCommands: readonly string[];
  recentConversations: readonly ConversationView[];
  found: Found;
}

const MOST_COMMANDS = 8;

/** Returns the list with `added` at its beginning, once, and no longer than `most`. */
export function putFirst<T>(list: readonly T[], added: T, idOf: (one: T) => string, most: number): T[] {
  return [added, ...list.filter((one) => idOf(one) !== idOf(added))].slice(0, most);
}

/** Returns the sections that have something in them, in the order in which they are shown. */
export function sectionsFor(query: string, known: Known): Section[] {
  const sections = query.trim() ? matching(query, known) : starting(known);
  return sections.filter((section) => section.offers.length > 0);
}

function starting(known: Known): Section[] {
  const byId = new Map(known.commands.map((command) => [command.id, command]));
  const recent = known.recentCommands.flatMap((id) => byId.get(id) ?? []);
  const rest = known.commands.filter((command) => !recent.includes(command));
  return [
    { id: "recent", offers: [...recent.map(ofCommand), ...known.recentConversations.map(ofConversation)] },
    { id: "commands", offers: rest.map(ofCommand) },
  ];
}

function matching(query: string, known: Known): Section[] {
  const order = (command: Command) => {
    const at = known.recentCommands.indexOf(command.id);
    return at < 0 ? known.recentCommands.length : at;
  };
  // Ranking keeps the order of those that fit alike: what was used lately comes first.
  const commands = [...known.commands].sort((one, other) => order(one) - order(other));
  const { conversations, contacts, orders } = known.found;
  return [
    { id: "commands", offers: rank(query, commands, (command) => command.title()).slice(0, MOST_COMMANDS).map(ofCommand) },
    { id: "conversations", offers: conversations.map(ofConversation) },
    { id: "contacts", offers: contacts.map((contact) => ({ kind: "contact", id: `contact-${contact.id}`, contact })) },
    { id: "orders", offers: orders.map((order) => ({ kind: "order", id: `order-${order.id}`, order })) },
  ];
}

function ofCommand(command: Command): Offer {
  return { kind: "command", id: `command-${command.id}`, command };
}

function ofConversation(conversation: ConversationView): Offer {
  return { kind: "conversation", id: `conversation-${conversation.id}`, conversation };
}

export function iconOf(offer: Offer): IconName {
  switch (offer.kind) {
    case "command":
      return offer.command.icon ?? "forward";
    case "conversation":
      return offer.conversation.channel;
    case "contact":
      return "person";
    case "order":
      return "order";
  }
}
