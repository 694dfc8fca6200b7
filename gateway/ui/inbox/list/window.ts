// Which rows of a long list are drawn: those in sight and some around them; the rest is empty space of their height.

export interface Window {
  first: number;
  /** One behind the last. */
  end: number;
  before_px: number;
  after_px: number;
}

const SPARE_ROWS = 8;

/** Returns what to draw of `count` rows of `row_px`, scrolled by `top_px` in a box of `height_px`. */
export function windowOf(count: number, row_px: number, top_px: number, height_px: number): Window {
  const first = Math.max(0, Math.min(count, Math.floor(top_px / row_px)) - SPARE_ROWS);
  const end = Math.min(count, Math.ceil((top_px + height_px) / row_px) + SPARE_ROWS);
  return { first, end, before_px: first * row_px, after_px: Math.max(0, count - end) * row_px };
}
