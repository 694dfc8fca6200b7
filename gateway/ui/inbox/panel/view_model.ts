// What the panel says of a contact, worked out from what the API knows.

import type { AddressView, ContactCardView, OrderView } from "../../generated/api";
import type { IconName } from "../../kit/icons";

export interface AddressLine {
  id: string;
  icon: IconName;
  value: string;
  /** "claimed": somebody says so, and it proves nothing. */
  proof: "verified" | "claimed";
  suppressed: string | null;
  undeliverable: string | null;
  consent: readonly Consent[];
  /** A browser's or the shop's number means nothing to people: it stands at the end, in small. */
  isTechnical: boolean;
}

export interface Consent {
  purpose: string;
  state: string;
  at: string;
}

const ICONS: Record<AddressView["kind"], IconName> = {
  email: "email",
  email_claim: "email",
  phone: "sms",
  whatsapp: "whatsapp",
  visitor: "webchat",
  customer: "person",
};
const ORDER: readonly AddressView["kind"][] = ["email", "email_claim", "phone", "whatsapp", "visitor", "customer"];

/** Returns the addresses as lines: mail first, what proves something before what is claimed, technical ones last. */
export function addressLines(addresses: readonly AddressView[]): AddressLine[] {
  return [...addresses]
    .sort((one, other) => ORDER.indexOf(one.kind) - ORDER.indexOf(other.kind) || Number(other.verified) - Number(one.verified))
    .map((address) => ({
      id: address.id,
      icon: ICONS[address.kind],
      value: address.value,
      proof: address.verified ? "verified" : "claimed",
      suppressed: address.suppressed ? address.suppressed.reason : null,
      undeliverable: address.undeliverable_reason,
      consent: ("consent" in address ? (address.consent as readonly Consent[]) : null) ?? [],
      isTechnical: address.kind === "visitor" || address.kind === "customer",
    }));
}

/** Returns the orders with the newest first, and the earlier conversations without the one that is open. */
export function historyOf(card: ContactCardView, openId: string | null) {
  const orders = [...card.orders].sort((one, other) => other.placed_at.localeCompare(one.placed_at));
  const conversations = card.conversations
    .filter((conversation) => conversation.id !== openId)
    .sort((one, other) => other.last_message_at.localeCompare(one.last_message_at));
  return { orders, conversations };
}

/** Returns a link only where it leads to a web page: the shop's systems may send anything. */
export function safeLink(url: string | null): string | null {
  if (!url || !URL.canParse(url)) return null;
  return /^https?:$/.test(new URL(url).protocol) ? url : null;
}

export interface OrderItem {
  name: string;
  quantity: number;
}

/** Returns what was ordered, as far as it can be read; items come from the shop as they are. */
export function orderItems(order: OrderView): OrderItem[] {
  return order.items.flatMap((item: { [key: string]: unknown }) => {
    const name = item["name"] ?? item["sku"];
    if (typeof name !== "string") return [];
    const quantity = typeof item["quantity"] === "number" ? item["quantity"] : 1;
    return [{ name, quantity }];
  });
}

/** Returns "in_transit" as "in transit": statuses are the shop's own words. */
export function plainWords(status: string): string {
  return status.replace(/[._-]+/g, " ");
}

/** Returns who this is in as few words as possible: the name, else the best address, else nothing. */
export function titleOf(contact: { name: string | null; addresses: readonly { kind: string; value: string }[] }): string | null {
  if (contact.name) return contact.name;
  return contact.addresses.find((address) => !["visitor", "customer"].includes(address.kind))?.value ?? null;
}
