// The live socket (docs/live.md): one for the page, opened again after every loss, with what was missed.

import { signal } from "@preact/signals";
import type { StoredEvent } from "../../generated/api";
import { forget, me } from "./session";

export interface Change {
  conversation: string;
  seq: number;
}

export interface Typist {
  name: string | null;
  isCustomer: boolean;
}

interface Frame {
  event?: StoredEvent;
  subscribed?: Record<string, number>;
  inbox?: Change | null;
  typing?: { conversation: string; agent?: { id: string; name: string }; customer?: boolean };
}

interface Watch {
  seq: number;
  onEvent: (event: StoredEvent) => void;
}

const TYPING_LASTS_MS = 6000;
const TYPING_EVERY_MS = 2000;
const PING_EVERY_MS = 20_000;
const SILENCE_MS = 45_000;
const SESSION_OVER = 1008;

export const isConnected = signal(true);
export const typists = signal<ReadonlyMap<string, readonly Typist[]>>(new Map());

const watches = new Map<string, Watch>();
const listeners = new Set<(change: Change | null) => void>();
let socket: WebSocket | null = null;
let failures = 0;
let retry = 0;
let heardAt = 0;
let typedAt = 0;

/** Returns how long to wait before attempt `count` (from 1): longer each time, never in step with others. */
export function pauseBefore(count: number, chance: number): number {
  return Math.min(15_000, 500 * 2 ** (count - 1)) * (0.5 + chance / 2);
}

/** Opens the socket and keeps it open while somebody is logged in. */
export function connect(): void {
  clearTimeout(retry);
  if (socket || !me.value) return;
  const opened = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/live`);
  socket = opened;
  opened.onopen = () => {
    failures = 0;
    heardAt = Date.now();
    isConnected.value = true;
    const after = Object.fromEntries([...watches].map(([id, watch]) => [id, watch.seq]));
    if (watches.size) send({ subscribe: after });
  };
  opened.onmessage = (message) => {
    heardAt = Date.now();
    receive(JSON.parse(String(message.data)) as Frame);
  };
  opened.onclose = (event) => lose(opened, event.code);
}

function lose(lost: WebSocket, code: number): void {
  if (socket !== lost) return;
  socket = null;
  if (code === SESSION_OVER) {
    forget();
    return;
  }
  failures += 1;
  // One short break is not worth a word; a second attempt that fails is.
  if (failures > 1) isConnected.value = false;
  retry = window.setTimeout(connect, pauseBefore(failures, Math.random()));
}

export function disconnect(): void {
  const open = socket;
  socket = null;
  clearTimeout(retry);
  open?.close();
}

function send(frame: object): void {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

function receive(frame: Frame): void {
  if (frame.event) {
    const watch = watches.get(frame.event.conversation_id);
    if (watch && frame.event.seq > watch.seq) {
      watch.seq = frame.event.seq;
      watch.onEvent(frame.event);
    }
  }
  for (const [id, seq] of Object.entries(frame.subscribed ?? {})) {
    const watch = watches.get(id);
    if (watch) watch.seq = Math.max(watch.seq, seq);
  }
  if (frame.inbox !== undefined) for (const listener of listeners) listener(frame.inbox);
  if (frame.typing) noteTyping(frame.typing);
}

function noteTyping(typing: NonNullable<Frame["typing"]>): void {
  const typist = { name: typing.agent?.name ?? null, isCustomer: Boolean(typing.customer) };
  const others = (typists.value.get(typing.conversation) ?? []).filter((one) => one.name !== typist.name);
  typists.value = new Map(typists.value).set(typing.conversation, [...others, typist]);
  setTimeout(() => {
    const left = (typists.value.get(typing.conversation) ?? []).filter((one) => one !== typist);
    typists.value = new Map(typists.value).set(typing.conversation, left);
  }, TYPING_LASTS_MS);
}

/** Tells `onEvent` of every event of a conversation behind `afterSeq`, once and in order, until the result is called. */
export function watch(conversation: string, afterSeq: number, onEvent: (event: StoredEvent) => void): () => void {
  const own: Watch = { seq: afterSeq, onEvent };
  watches.set(conversation, own);
  send({ subscribe: { [conversation]: afterSeq } });
  return () => {
    if (watches.get(conversation) !== own) return;
    watches.delete(conversation);
    send({ unsubscribe: [conversation] });
  };
}

/** Tells `listener` which conversation something happened in; null: read the list again. */
export function onInbox(listener: (change: Change | null) => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

export function sayTyping(conversation: string): void {
  const now = Date.now();
  if (now - typedAt < TYPING_EVERY_MS) return;
  typedAt = now;
  send({ typing: conversation });
}

/** A line that is dead without saying so is found by its silence. */
function check(): void {
  if (!socket || socket.readyState !== WebSocket.OPEN) return;
  if (Date.now() - heardAt > SILENCE_MS) socket.close();
  else send({ ping: 1 });
}

setInterval(check, PING_EVERY_MS);
for (const [target, name] of [[window, "online"], [document, "visibilitychange"], [window, "focus"]] as const) {
  target.addEventListener(name, () => {
    if (!document.hidden) connect();
  });
}
