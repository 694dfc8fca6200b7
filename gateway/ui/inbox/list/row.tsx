// One conversation in the list: two lines and no more.

import { signal } from "@preact/signals";
import type { ConversationView } from "../../generated/api";
import { age, amount } from "../../kit/format";
import { Icon } from "../../kit/icons";
import { rows, selected, toggle } from "../state/list";
import { prefetch } from "../state/open";
import { go, place } from "../state/place";
import { language, say } from "../strings/say";

const HOUR = 3_600_000;
/** Ticks slowly: all ages and countdowns of the page follow it. */
export const now = signal(Date.now());
setInterval(() => (now.value = Date.now()), 20_000);

let anchor: string | null = null;

/** Selects or not, one row; with Shift all from the last one on. */
function choose(row: ConversationView, isRange: boolean): void {
  const isSelected = !selected.value.has(row.id);
  const from = isRange ? rows.value.findIndex((one) => one.id === anchor) : -1;
  const to = rows.value.findIndex((one) => one.id === row.id);
  const range = from < 0 ? [row] : rows.value.slice(Math.min(from, to), Math.max(from, to) + 1);
  for (const one of range) toggle(one.id, isSelected);
  anchor = row.id;
}

export function Row({ row }: { row: ConversationView }) {
  const isHere = place.value.conversation === row.id;
  const name = row.contact.name ?? say("list.someone");
  return (
    <li class={`row${isHere ? " is-here" : ""}${row.waiting_since ? " is-waiting" : ""}`} onPointerEnter={() => prefetch(row.id)}>
      <label class="pick">
        <input
          type="checkbox"
          aria-label={say("list.select", { name })}
          checked={selected.value.has(row.id)}
          onClick={(event) => choose(row, event.shiftKey)}
        />
      </label>
      <Icon name={row.channel} label={say(`stream.${row.channel}`)} />
      <button class="open" aria-current={isHere ? "true" : undefined} onClick={() => go({ conversation: row.id })}>
        <span class="first">
          <span class="name" dir="auto">{name}</span>
          <Due row={row} />
          <span class="second">{age(row.waiting_since ?? row.last_message_at, now.value, language.value)}</span>
        </span>
        <span class="last second">
          <span class="words" dir="auto" lang={row.language ?? undefined}>{row.preview}</span>
          <span class="marks">{[row.language, row.topic].filter(Boolean).join(" · ")}</span>
        </span>
      </button>
    </li>
  );
}

/** Says how urgent a due time is: late, soon (under an hour), or neither. */
export function urgency(due: string, at: number): "late" | "soon" | "calm" {
  const left = Date.parse(due) - at;
  return left < 0 ? "late" : left < HOUR ? "soon" : "calm";
}

function Due({ row }: { row: ConversationView }) {
  const due = row.deadlines.due_at;
  if (!due || row.status === "resolved") return null;
  const left = Date.parse(due) - now.value;
  const time = amount(Math.abs(left), language.value);
  return <span class={`due ${urgency(due, now.value)}`}>{left < 0 ? say("list.late", { time }) : say("list.due", { time })}</span>;
}
