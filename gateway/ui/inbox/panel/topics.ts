// The topics that an agent can choose; another one may be typed, as the shop's configuration may know more.

export const TOPICS: readonly string[] = [
  "presales.ingredients",
  "presales.suitability",
  "presales.usage",
  "presales.specification",
  "presales.stock",
  "presales.promotion",
  "order.status",
  "order.change",
  "order.cancel",
  "order.payment",
  "order.duplicate_charge",
  "delivery.tracking",
  "delivery.delay",
  "delivery.lost",
  "delivery.damaged",
  "delivery.missing_item",
  "delivery.address",
  "delivery.failed_attempt",
  "return.start",
  "return.howto",
  "refund.progress",
  "refund.delay",
  "complaint.product",
  "complaint.service",
  "complaint.platform",
  "suggestion",
  "account",
  "human",
  "other",
];

/** Returns what was typed as a topic's id, or null where it can't be one. */
export function topicId(typed: string): string | null {
  const id = typed.trim().toLowerCase().replace(/\s+/g, "_");
  return /^[a-z0-9][a-z0-9._-]{0,63}$/.test(id) ? id : null;
}
