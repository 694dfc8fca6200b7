// The middle column: the conversations of a view. Only the rows in sight are drawn, however many there are.

import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { Icon } from "../../kit/icons";
import { hasMore, isLoading, loadMore, problem, reload, rows, selected } from "../state/list";
import { Results } from "../palette/results";
import { go, place } from "../state/place";
import { say } from "../strings/say";
import { BulkBar } from "./bulk_bar";
import { Row } from "./row";
import { windowOf } from "./window";

const ROW_PX = 60;
const NEAR_END_PX = 900;
const SEARCH_AFTER_MS = 250;
// Nobody wants to see a skeleton flash by.
const SKELETON_AFTER_MS = 200;

export function List() {
  const heading = place.value.queue ?? say(`list.${place.value.view}`);
  return (
    <section class="list" aria-label={say("list.conversations")}>
      <h1 class="unseen">{heading}</h1>
      <Search />
      {selected.value.size > 0 && <BulkBar />}
      <Results />
      <Rows />
    </section>
  );
}

function Search() {
  const text = useSignal(place.value.q);
  const timer = useRef(0);
  useSignalEffect(() => {
    if (place.value.q !== text.peek().trim()) text.value = place.value.q;
  });
  const change = (value: string) => {
    text.value = value;
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => go({ q: value.trim() }, { replace: true }), SEARCH_AFTER_MS);
  };
  return (
    <form class="search" role="search" onSubmit={(event) => event.preventDefault()}>
      <Icon name="search" />
      <input
        id="search"
        class="field"
        type="search"
        dir="auto"
        aria-label={say("list.search")}
        placeholder={say("list.search")}
        value={text.value}
        onInput={(event) => change(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          change("");
          event.currentTarget.blur();
        }}
      />
    </form>
  );
}

function Rows() {
  const box = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const height = useSignal(800);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(() => (height.value = element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    // The open conversation is kept in sight when one walks through the list by key.
    const at = rows.value.findIndex((row) => row.id === place.value.conversation);
    const element = box.current;
    if (at < 0 || !element) return;
    if (at * ROW_PX < element.scrollTop) element.scrollTop = at * ROW_PX;
    else if ((at + 1) * ROW_PX > element.scrollTop + element.clientHeight) element.scrollTop = (at + 1) * ROW_PX - element.clientHeight;
  }, [place.value.conversation]);
  const shown = windowOf(rows.value.length, ROW_PX, top.value, height.value);
  const scroll = (element: HTMLElement) => {
    top.value = element.scrollTop;
    if (element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END_PX) loadMore();
  };
  return (
    <div class="rows" ref={box} onScroll={(event) => scroll(event.currentTarget)} aria-busy={isLoading.value}>
      <div aria-hidden="true" style={{ height: shown.before_px }} />
      <ul aria-label={say("list.conversations")}>
        {rows.value.slice(shown.first, shown.end).map((row) => (
          <Row key={row.id} row={row} />
        ))}
      </ul>
      <div aria-hidden="true" style={{ height: shown.after_px }} />
      {rows.value.length === 0 && <Empty />}
      {rows.value.length > 0 && hasMore.value && <p class="unseen">{isLoading.value ? "…" : ""}</p>}
    </div>
  );
}

function Empty() {
  const isSlow = useSignal(false);
  useEffect(() => {
    const timer = window.setTimeout(() => (isSlow.value = true), SKELETON_AFTER_MS);
    return () => clearTimeout(timer);
  }, []);
  if (problem.value) {
    return (
      <p class="empty error" role="alert">
        {problem.value} <button class="button" onClick={reload}>{say("list.try_again")}</button>
      </p>
    );
  }
  if (isLoading.value) {
    if (!isSlow.value) return null;
    return (
      <div class="skeleton" aria-hidden="true">
        {Array.from({ length: 8 }, (_, index) => (
          <span key={index} />
        ))}
      </div>
    );
  }
  const isMine = place.value.view === "mine" && !place.value.queue;
  const text = place.value.q ? say("list.found_none") : isMine ? say("list.empty_mine") : say("list.empty");
  return (
    <p class="empty second">
      {text} {place.value.q && <button class="button" onClick={() => go({ q: "" })}>{say("list.clear_search")}</button>}
    </p>
  );
}
