// The conversation on the screen: its messages and events as one timeline, read backwards page by page, kept live.

import { type ReadonlySignal, computed, effect, signal } from "@preact/signals";
import type { ConversationView, MessageView, PageMessageView, PageStoredEvent, StoredEvent } from "../../generated/api";
import { ApiError, get, put } from "../../kit/api";
import { watch } from "./live";
import { take } from "./list";
import { place } from "./place";
import { me } from "./session";
import { type Entry, timeline } from "./timeline";

const PAGE = 60;
const NEWEST = 2 ** 31 - 1;
const MOST_KEPT = 12;

export class OpenConversation {
  readonly conversation = signal<ConversationView | null>(null);
  readonly problem = signal<string | null>(null);
  readonly isLoading = signal(true);
  readonly hasOlder = signal(false);
  readonly entries: ReadonlySignal<Entry[]>;
  readonly lastSeq: ReadonlySignal<number>;
  private readonly messages = signal<ReadonlyMap<string, MessageView>>(new Map());
  private readonly events = signal<ReadonlyMap<number, StoredEvent>>(new Map());
  private oldest = NEWEST;
  private stop: (() => void) | null = null;
  private refreshing = 0;
  private seen = 0;

  constructor(readonly id: string) {
    this.entries = computed(() => timeline(this.messages.value.values(), this.events.value.values()));
    this.lastSeq = computed(() => Math.max(0, ...this.events.value.keys()));
  }

  /** Reads the newest page, then listens for what comes. */
  async load(): Promise<void> {
    try {
      const [conversation] = await Promise.all([get<ConversationView>(`/v1/conversations/${this.id}`), this.loadOlder()]);
      this.conversation.value = conversation;
      this.problem.value = null;
      this.listen();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.problem.value = error.message;
      if (error.isTransient) setTimeout(() => void this.load(), 2000);
    } finally {
      this.isLoading.value = false;
    }
  }

  async loadOlder(): Promise<void> {
    const path = `/v1/conversations/${this.id}`;
    const query = { before_seq: this.oldest, limit: PAGE };
    const events = await get<PageStoredEvent>(`${path}/events`, query);
    const first = events.items[0]?.seq ?? 0;
    // Every message has an event with its number, so there are no more of them in this stretch than events.
    const messages = await get<PageMessageView>(`${path}/messages`, query);
    this.events.value = new Map([...events.items.map((event) => [event.seq, event] as const), ...this.events.value]);
    this.put(messages.items.filter((message) => message.seq >= first && !this.messages.value.has(message.id)));
    this.oldest = Math.min(this.oldest, events.items[0]?.seq ?? this.oldest);
    this.hasOlder.value = events.next !== null && events.next !== undefined;
  }

  /** Takes messages in as they stand now. */
  put(messages: readonly MessageView[]): void {
    const all = new Map(this.messages.value);
    for (const message of messages) all.set(message.id, message);
    this.messages.value = all;
  }

  private listen(): void {
    this.stop?.();
    this.stop = watch(this.id, this.lastSeq.value, (event) => this.hear(event));
  }

  private hear(event: StoredEvent): void {
    this.events.value = new Map(this.events.value).set(event.seq, event);
    if (event.message_id) void this.fetchMessage(event);
    clearTimeout(this.refreshing);
    this.refreshing = window.setTimeout(() => void this.refresh(), 100);
  }

  private async fetchMessage(event: StoredEvent): Promise<void> {
    const known = event.message_id ? this.messages.value.get(event.message_id) : undefined;
    const seq = known?.seq ?? event.seq;
    const path = `/v1/conversations/${this.id}/messages`;
    const found = await get<PageMessageView>(path, { after_seq: seq - 1, limit: 1 }).catch(() => null);
    if (found) this.put(found.items);
  }

  /** The agent looks at it: a visitor in the chat sees that their words were read. */
  markSeen(): void {
    const seq = this.lastSeq.value;
    if (document.hidden || seq <= this.seen) return;
    this.seen = seq;
    void put(`/v1/conversations/${this.id}/seen`, { seq }).catch(() => (this.seen = 0));
  }

  async refresh(): Promise<void> {
    const found = await get<ConversationView>(`/v1/conversations/${this.id}`).catch(() => null);
    if (!found) return;
    this.conversation.value = found;
    take([found]);
  }

  close(): void {
    this.stop?.();
    this.stop = null;
  }

  /** Goes on where it was: the socket sends what came meanwhile. */
  resume(): void {
    if (!this.isLoading.value && !this.stop) this.listen();
    void this.refresh();
  }
}

const kept = new Map<string, OpenConversation>();
const shown = signal<OpenConversation | null>(null);
export const open = computed(() => shown.value);

function find(id: string): OpenConversation {
  const known = kept.get(id);
  if (known) {
    kept.delete(id);
    kept.set(id, known);
    return known;
  }
  const fresh = new OpenConversation(id);
  kept.set(id, fresh);
  void fresh.load();
  for (const [old, conversation] of kept) {
    if (kept.size <= MOST_KEPT) break;
    if (old === id || conversation === shown.value) continue;
    conversation.close();
    kept.delete(old);
  }
  return fresh;
}

/** Reads a conversation before it is opened, so that it is there at once. */
export function prefetch(id: string): void {
  if (!kept.has(id)) find(id);
}

const wanted = computed(() => (me.value ? place.value.conversation : null));
effect(() => {
  const id = wanted.value;
  const before = shown.peek();
  if (id === before?.id) return;
  const next = id ? find(id) : null;
  next?.resume();
  shown.value = next;
});
effect(() => {
  // Somebody else may log in here: nothing that was read for one is shown to the other.
  if (me.value) return;
  for (const conversation of kept.values()) conversation.close();
  kept.clear();
});
