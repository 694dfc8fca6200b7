// What a visitor's browser keeps: who they are to us, the last messages, and what is typed and not taken yet.

import { signal } from "@preact/signals";

export interface ChatFile {
  id: string;
  filename: string;
  content_type: string;
  size: number;
  url?: string;
}

export interface ChatMessage {
  id: string;
  seq: number | null;
  client_id: string | null;
  direction: "inbound" | "outbound";
  text: string;
  attachments: ChatFile[];
  author: string | null;
  at: string;
}

/** A message that the gateway has not acknowledged. */
export interface Waiting {
  id: string;
  text: string;
  attachments: ChatFile[];
  topic: string | null;
  at: string;
}

interface Kept {
  token: string | null;
  customer: string | null;
  messages: ChatMessage[];
  outbox: Waiting[];
  isKnown: boolean;
}

const NOTHING: Kept = { token: null, customer: null, messages: [], outbox: [], isKnown: false };
const MOST_KEPT = 60;

/** Puts a message into the order of its chat; the same one again takes the place of the first. */
export function insert(messages: readonly ChatMessage[], added: ChatMessage): ChatMessage[] {
  const others = messages.filter((one) => one.id !== added.id);
  return [...others, added].sort((one, other) => (one.at === other.at ? (one.seq ?? 0) - (other.seq ?? 0) : one.at < other.at ? -1 : 1));
}

/** Says whose identity a token is, unchecked: only to tell one customer of this browser from the next. */
export function customerOf(identity: string): string | null {
  try {
    const body = (identity.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
    const claims = JSON.parse(atob(body)) as { sub?: unknown };
    return typeof claims.sub === "string" ? claims.sub : null;
  } catch {
    return null;
  }
}

export class Store {
  readonly messages = signal<readonly ChatMessage[]>([]);
  readonly outbox = signal<readonly Waiting[]>([]);
  token: string | null = null;
  /** The visitor has said how to reach them, or the shop has. */
  isKnown = false;
  private customer: string | null = null;
  private readonly key: string;

  constructor(origin: string) {
    this.key = `gateway-chat ${origin}`;
    const kept = this.read();
    this.token = kept.token;
    this.customer = kept.customer;
    this.isKnown = kept.isKnown;
    this.messages.value = kept.messages;
    this.outbox.value = kept.outbox;
  }

  get lastSeq(): number {
    return Math.max(0, ...this.messages.value.map((one) => one.seq ?? 0));
  }

  /** Makes room for another customer of this browser: nothing of one is shown to the other. */
  become(customer: string | null): void {
    if (this.customer !== null && customer !== this.customer) this.forget();
    this.customer = customer;
    this.isKnown ||= customer !== null;
    this.save();
  }

  forget(): void {
    this.token = null;
    this.messages.value = [];
    this.outbox.value = [];
    this.isKnown = false;
    this.save();
  }

  keepToken(token: string): void {
    this.token = token;
    this.save();
  }

  add(message: ChatMessage): void {
    this.messages.value = insert(this.messages.value, message);
    if (message.client_id) this.settle(message.client_id);
    this.save();
  }

  wait(waiting: Waiting): void {
    this.outbox.value = [...this.outbox.value, waiting];
    this.save();
  }

  settle(clientId: string): void {
    this.outbox.value = this.outbox.value.filter((one) => one.id !== clientId);
    this.save();
  }

  noteKnown(): void {
    this.isKnown = true;
    this.save();
  }

  private read(): Kept {
    try {
      return { ...NOTHING, ...(JSON.parse(localStorage.getItem(this.key) ?? "{}") as Partial<Kept>) };
    } catch {
      return NOTHING; // storage may be off, or hold something else: the chat works, and forgets
    }
  }

  private save(): void {
    const kept: Kept = {
      token: this.token,
      customer: this.customer,
      messages: this.messages.value.slice(-MOST_KEPT),
      outbox: [...this.outbox.value],
      isKnown: this.isKnown,
    };
    try {
      localStorage.setItem(this.key, JSON.stringify(kept));
    } catch {
      // as in read()
    }
  }
}
