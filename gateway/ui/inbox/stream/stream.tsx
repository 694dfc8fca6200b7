// The stream: everything said and done in a conversation, over all channels, the newest in view.

import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { StoredEvent } from "../../generated/api";
import { clockTime, dayOf, fullTime } from "../../kit/format";
import { Icon } from "../../kit/icons";
import { typists } from "../state/live";
import type { OpenConversation } from "../state/open";
import { outgoing } from "../state/outgoing";
import { agents } from "../state/views";
import { language, say } from "../strings/say";
import { dataOf, lineOf, namesOf, reasonOf } from "./events";
import { type Block, isFolded, layOut } from "./groups";
import { Message } from "./message";
import { OnTheWay } from "./on_the_way";

const NEAR_PX = 80;

export function Stream({ shown }: { shown: OpenConversation }) {
  const box = useRef<HTMLDivElement>(null);
  const isAtEnd = useSignal(true);
  const height = useRef(0);
  const waiting = outgoing.value.filter((one) => one.conversation === shown.id);
  const entries = shown.entries.value;
  const first = entries[0]?.seq;

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    if (isAtEnd.value) element.scrollTop = element.scrollHeight;
    else if (height.current) element.scrollTop += first === firstSeen.current ? 0 : element.scrollHeight - height.current;
    firstSeen.current = first;
    height.current = element.scrollHeight;
  }, [entries, waiting.length]);
  const firstSeen = useRef(first);
  useEffect(() => {
    // Images and mails grow when they come; whoever reads the end stays at the end.
    const inside = box.current?.firstElementChild;
    if (!inside) return;
    const observer = new ResizeObserver(() => {
      if (isAtEnd.value && box.current) box.current.scrollTop = box.current.scrollHeight;
    });
    observer.observe(inside);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    const look = () => shown.markSeen();
    look();
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, [shown.lastSeq.value]);

  const toEnd = () => box.current?.scrollTo({ top: box.current.scrollHeight });
  const scroll = (element: HTMLElement) => {
    isAtEnd.value = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX;
    if (element.scrollTop < NEAR_PX && shown.hasOlder.value) older(shown);
  };
  return (
    <div class="stream" ref={box} onScroll={(event) => scroll(event.currentTarget)} tabIndex={0} role="log" aria-label={say("stream.messages")}>
      <div class="inside">
        {shown.problem.value && <p class="error" role="alert">{shown.problem.value}</p>}
        {shown.hasOlder.value && <button class="button quiet" onClick={() => older(shown)}>{say("stream.older")}</button>}
        {layOut(entries, (at) => dayOf(at, language.value)).map((block) => (
          <BlockView key={block.key} block={block} shown={shown} />
        ))}
        {waiting.map((one) => (
          <OnTheWay key={one.key} one={one} />
        ))}
        <Typing conversation={shown.id} />
      </div>
      {!isAtEnd.value && (
        <button class="button to-end" onClick={toEnd}>
          <Icon name="down" /> {say("stream.newer")}
        </button>
      )}
    </div>
  );
}

let isReading = false;

/** One page at a time, however the reader scrolls. */
function older(shown: OpenConversation): void {
  if (isReading) return;
  isReading = true;
  void shown.loadOlder().finally(() => (isReading = false));
}

function BlockView({ block, shown }: { block: Block; shown: OpenConversation }) {
  switch (block.kind) {
    case "day":
      return <h3 class="day second">{dayOf(block.at, language.value)}</h3>;
    case "message":
      return <Message message={block.entry.message} isChannelNew={block.isChannelNew} contact={shown.conversation.value?.contact.name ?? null} />;
    case "note":
      return <Note event={block.event} />;
    case "events":
      return <Events events={block.events} />;
  }
}

function Note({ event }: { event: StoredEvent }) {
  const name = namesOf(agents.value)(event.actor_id);
  return (
    <article class="note" aria-label={say("stream.note_by", { name })}>
      <p class="second">
        <Icon name="note" /> {say("stream.note_by", { name })} <Time at={event.at} />
      </p>
      <p class="words" dir="auto">{String(dataOf(event)["text"] ?? "")}</p>
    </article>
  );
}

function Events({ events }: { events: readonly StoredEvent[] }) {
  const names = namesOf(agents.value);
  const lines = events.flatMap((event) => {
    const line = lineOf(event, names);
    return line ? [{ event, line }] : [];
  });
  if (!lines.length) return null;
  const list = (
    <ul class="happened second">
      {lines.map(({ event, line }) => (
        <li key={event.seq}>
          {line} <Time at={event.at} />
          {reasonOf(event) && <span class="reason"> {say("stream.reason", { reason: reasonOf(event) })}</span>}
        </li>
      ))}
    </ul>
  );
  if (!isFolded(events)) return list;
  return (
    <details>
      <summary class="second">{say("stream.events", { count: lines.length })}</summary>
      {list}
    </details>
  );
}

export function Time({ at }: { at: string }) {
  return <time dateTime={at} title={fullTime(at, language.value)}>{clockTime(at, language.value)}</time>;
}

function Typing({ conversation }: { conversation: string }) {
  const typing = typists.value.get(conversation) ?? [];
  const lines = typing.map((one) => (one.isCustomer ? say("stream.customer_types") : say("stream.agent_types", { name: one.name ?? "" })));
  return <p class="typing second" role="status">{lines.join(". ")}</p>;
}
