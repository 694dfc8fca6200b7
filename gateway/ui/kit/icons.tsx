// One set of icons, 16 px, drawn as strokes. An icon alone is never the only name of a thing: pass `label`, or put words beside it.

const PATHS = {
  email: "M2 3.5h12v9H2zM2 4.5l6 4.5 6-4.5",
  sms: "M2 3h12v8H7l-3 2.5V11H2z",
  whatsapp: "M2.5 13.5l.8-3A5.8 5.8 0 1 1 5.6 12.700zM6 5.600c-.3 2 2 4.500 4.300 4.300l.5-1.200-1.600-.8-.7.6C7.700 8.100 7.300 7.500 7.100 7l.6-.7-.6-1.500z",
  webchat: "M2 3h9v6H6l-2.500 2V9H2zM13 6h1v7l-2-1.500H7.500V10.500",
  note: "M3 2.500h7l3 3v8H3zM10 2.500v3h3M5.500 8h5M5.500 10.500h3",
  check: "M3 8.500l3.500 3.500L13 4.500",
  checks: "M1 8.500L4.500 12 11 4.500M8 11l1 1 6-7.500",
  clock: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 4.500V8l2.500 1.500",
  warning: "M8 2l6.500 11.500h-13zM8 6.500v3.500M8 11.900v.1",
  question: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM6.200 6.300c.2-2.400 3.700-2.200 3.600 0-.1 1.400-1.800 1.300-1.800 2.900M8 11.400v.1",
  search: "M7 2.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9zM10.300 10.300l3.500 3.500",
  close: "M3.500 3.500l9 9M12.500 3.500l-9 9",
  back: "M10 3L5 8l5 5",
  forward: "M6 3l5 5-5 5",
  down: "M3 6l5 5 5-5",
  more: "M3.500 8h.1M8 8h.1M12.500 8h.1",
  person: "M8 2.500a2.700 2.700 0 1 0 0 5.400 2.700 2.700 0 0 0 0-5.400zM2.800 13.500c.4-5.300 10-5.300 10.400 0",
  attach: "M12.500 7.500l-5 5a3 3 0 0 1-4.300-4.200l5.500-5.500a2 2 0 0 1 2.900 2.800l-5.500 5.500a1 1 0 0 1-1.400-1.400l4.800-4.800",
  send: "M2 8l12-5.500L9.500 14 7.500 9zM7.500 9L14 2.500",
  snooze: "M8 3a5.500 5.500 0 1 0 0 11A5.500 5.500 0 0 0 8 3zM6.300 6.500h3.400L6.300 10.500h3.400M2 3.500L4 2M14 3.500L12 2",
  transfer: "M2 5.500h10.500M10 3l2.500 2.500L10 8M14 10.500H3.500M6 8l-2.500 2.500L6 13",
  reopen: "M13 8a5 5 0 1 1-1.700-3.800M13.500 2v3h-3",
  mention: "M10.500 8a2.500 2.500 0 1 0-5 0 2.500 2.500 0 0 0 5 0zM10.500 5.500v3.300c0 2.200 3 1.900 3-.8a5.500 5.500 0 1 0-2.200 4.400",
  file: "M4 2h5.500L12.500 5v9H4zM9.500 2v3h3",
  image: "M2 3h12v10H2zM2 11l3.500-4 3 3.500 2-2 3.500 3M10.700 6h.1",
  order: "M2.500 5L8 2.500 13.500 5v6.500L8 13.500l-5.500-2zM2.500 5L8 7.500 13.500 5M8 7.500v6",
  queue: "M2 4h12M2 8h12M2 12h8",
  settings: "M2.500 4.500h6M12 4.500h1.500M2.500 11.500H4M7.500 11.500h6M10.200 3a1.500 1.500 0 1 0 0 3 1.500 1.500 0 0 0 0-3zM5.700 10a1.500 1.500 0 1 0 0 3 1.500 1.500 0 0 0 0-3z",
  join: "M3 2.500v3c0 2.500 5 2.500 5 5v3M13 2.500v3c0 2.500-5 2.500-5 5",
  plus: "M8 3v10M3 8h10",
  panel: "M2 3h12v10H2zM10 3v10",
  offline: "M2 2l12 12M2.500 6.500A8 8 0 0 1 5 5M7.500 4a8 8 0 0 1 6 2.500M5 9.300a4.500 4.500 0 0 1 2-1.100M10 8.900a4.500 4.500 0 0 1 1 .6M8 12.500h.1",
  undo: "M3 6.500h6.500a3.500 3.500 0 0 1 0 7H6M5.500 4L3 6.500 5.500 9",
  cart: "M1.500 2.500H3.500l1.700 7.500h7.300l1.300-5.500H4M6 12.800v.1M11.500 12.800v.1",
} as const;

export type IconName = keyof typeof PATHS;

const MIRRORED: ReadonlySet<IconName> = new Set(["back", "forward", "send", "undo", "reopen", "transfer"]);

export function Icon({ name, label }: { name: IconName; label?: string }) {
  return (
    <svg
      class={MIRRORED.has(name) ? "icon mirrored" : "icon"}
      viewBox="0 0 16 16"
      role={label ? "img" : undefined}
      aria-label={label}
      aria-hidden={label ? undefined : "true"}
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
