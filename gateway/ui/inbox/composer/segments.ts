// How many SMS a text makes, counted as gateway/domain/segments.py does: GSM-7 with its extensions, else UCS-2.

const BASIC = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);
const EXTENDED = new Set("\f^{}\\[~]|€");

const GSM = { one: 160, many: 153 };
const UCS2 = { one: 70, many: 67 };

export interface Segments {
  count: number;
  /** Units that still fit into the last one: septets, or UTF-16 code units. */
  left: number;
}

/** Counts the segments of a text (3GPP TS 23.038 and 23.040). */
export function countSegments(text: string): Segments {
  const costs = [...text].map((sign) => (BASIC.has(sign) ? 1 : EXTENDED.has(sign) ? 2 : 0));
  const isGsm = costs.every((cost) => cost > 0);
  const size = isGsm ? GSM : UCS2;
  // A sign that takes two units is not cut between two segments.
  const units = isGsm ? costs : [...text].map((sign) => sign.length);
  const total = units.reduce((sum, one) => sum + one, 0);
  if (total <= size.one) return { count: total ? 1 : 0, left: size.one - total };
  let count = 1;
  let used = 0;
  for (const one of units) {
    if (used + one > size.many) {
      count += 1;
      used = 0;
    }
    used += one;
  }
  return { count, left: size.many - used };
}
