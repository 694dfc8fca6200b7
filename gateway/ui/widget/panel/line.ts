// The chat's socket (docs/chat.md): opened with the panel, kept open, what waits sent again until it is acknowledged.

import { signal } from "@preact/signals";
import { type ChatFile, type ChatMessage, Store, customerOf } from "./store";

const TYPING_EVERY_MS = 2500;
const TYPING_LASTS_MS = 6000;
const PING_EVERY_MS = 25_000;
const TOO_FAST_MS = 1500;

interface MessageFrame {
  seq?: number;
  id: string;
  client_id?: string | null;
  direction: "inbound" | "outbound";
  text: string;
  attachments?: ChatFile[];
  author?: { kind: string; name: string | null };
  at: string;
}

type Frame =
  | { type: "welcome"; visitor: string; after_seq: number; identified: boolean }
  | ({ type: "message" | "history" } & MessageFrame)
  | { type: "ack"; id: string; message_id: string | null; seq: number | null }
  | { type: "typing" | "claimed" | "pong" | "transcript_sent" }
  | { type: "read"; seq: number }
  | { type: "away"; by: string[] }
  | { type: "error"; code: string; message: string; id: string | null };

export class Line {
  readonly isConnected = signal(true);
  readonly isAgentTyping = signal(false);
  readonly readSeq = signal(0);
  readonly awayBy = signal<readonly string[] | null>(null);
  readonly isTranscriptSent = signal(false);
  readonly refusal = signal<string | null>(null);
  onMessage: (message: ChatMessage) => void = () => {};
  private socket: WebSocket | null = null;
  private isReady = false;
  private failures = 0;
  private retry = 0;
  private typedAt = 0;
  private typingEnds = 0;
  private seen = 0;
  private isClosed = false;
  private readonly pinging: number;

  constructor(
    private readonly origin: string,
    private readonly language: string,
    private readonly store: Store,
    private identity: string | null,
  ) {
    if (identity) store.become(customerOf(identity));
    this.pinging = window.setInterval(() => this.send({ type: "ping" }), PING_EVERY_MS);
    window.addEventListener("online", this.connect);
    this.connect();
  }

  private readonly connect = (): void => {
    clearTimeout(this.retry);
    if (this.socket || this.isClosed) return;
    const opened = new WebSocket(`${this.origin.replace(/^http/, "ws")}/chat/socket`);
    this.socket = opened;
    opened.onopen = () => this.greet();
    opened.onmessage = (event) => this.receive(JSON.parse(String(event.data)) as Frame);
    opened.onclose = () => this.lose(opened);
  };

  private greet(): void {
    // Without a token the identity waits: if the line broke now, the identity would be bound to a visitor we never knew.
    const identity = this.store.token ? this.identity : null;
    const hello = { type: "hello", visitor: this.store.token, identity, after_seq: this.store.lastSeq, language: this.language };
    this.socket?.send(JSON.stringify(hello));
  }

  private lose(lost: WebSocket): void {
    if (this.socket !== lost) return;
    this.socket = null;
    this.isReady = false;
    this.failures += 1;
    if (this.failures > 1) this.isConnected.value = false;
    const pause = Math.min(15_000, 500 * 2 ** (this.failures - 1)) * (0.5 + Math.random() / 2);
    this.retry = window.setTimeout(this.connect, pause);
  }

  private again(): void {
    const old = this.socket;
    this.socket = null;
    this.isReady = false;
    old?.close();
    this.connect();
  }

  private send(frame: object): void {
    if (this.isReady && this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  private receive(frame: Frame): void {
    switch (frame.type) {
      case "welcome":
        this.enter(frame.visitor);
        break;
      case "message":
      case "history":
        this.take(frame);
        break;
      case "ack":
        this.store.settle(frame.id);
        break;
      case "typing":
        this.isAgentTyping.value = true;
        clearTimeout(this.typingEnds);
        this.typingEnds = window.setTimeout(() => (this.isAgentTyping.value = false), TYPING_LASTS_MS);
        break;
      case "read":
        this.readSeq.value = Math.max(this.readSeq.value, frame.seq);
        break;
      case "away":
        this.awayBy.value = frame.by;
        break;
      case "transcript_sent":
        this.isTranscriptSent.value = true;
        break;
      case "error":
        this.refuse(frame.code, frame.message, frame.id);
        break;
    }
  }

  private enter(token: string): void {
    const had = this.store.token;
    if (had !== null && had !== token && this.store.lastSeq > 0) {
      // Another visitor than we were: what is shown is not theirs.
      const waiting = this.store.outbox.value;
      this.store.forget();
      for (const one of waiting) this.store.wait(one);
    }
    this.store.keepToken(token);
    if (had === null && this.identity) {
      this.again();
      return;
    }
    this.failures = 0;
    this.isReady = true;
    this.isConnected.value = true;
    for (const one of this.store.outbox.value) this.say(one.id, one.text, one.attachments, one.topic);
  }

  private take(frame: MessageFrame): void {
    const message: ChatMessage = {
      id: frame.id,
      seq: frame.seq ?? null,
      client_id: frame.client_id ?? null,
      direction: frame.direction,
      text: frame.text,
      attachments: frame.attachments ?? [],
      author: frame.author?.name ?? null,
      at: frame.at,
    };
    const isNew = !this.store.messages.value.some((one) => one.id === message.id);
    this.store.add(message);
    if (message.seq !== null && message.direction === "outbound") {
      this.send({ type: "delivered", seq: message.seq });
      this.isAgentTyping.value = false;
      this.awayBy.value = null;
    }
    if (isNew) this.onMessage(message);
  }

  private refuse(code: string, message: string, id: string | null): void {
    if ((code === "too_fast" || code === "unavailable") && id) {
      const one = this.store.outbox.value.find((waiting) => waiting.id === id);
      if (one) window.setTimeout(() => this.say(one.id, one.text, one.attachments, one.topic), TOO_FAST_MS);
      return;
    }
    if (id) this.store.settle(id);
    if (code !== "identity_refused") this.refusal.value = message;
  }

  private say(id: string, text: string, files: readonly ChatFile[], topic: string | null): void {
    this.send({ type: "message", id, text, attachments: files.map((file) => file.id), ...(topic && { topic }) });
  }

  /** Sends a message, now or when the line is back; it is kept until the gateway has it. */
  write(text: string, attachments: ChatFile[], topic: string | null): void {
    this.refusal.value = null;
    const id = crypto.randomUUID?.() ?? `${Date.now()}.${Math.random().toString(36).slice(2)}`;
    this.store.wait({ id, text, attachments, topic, at: new Date().toISOString() });
    this.say(id, text, attachments, topic);
  }

  claim(name: string, email: string): void {
    this.send({ type: "claim", ...(name && { name }), ...(email && { email }) });
    if (email) this.store.noteKnown();
  }

  askTranscript(email: string): void {
    this.isTranscriptSent.value = false;
    this.send({ type: "transcript", email });
  }

  tellTyping(): void {
    const now = Date.now();
    if (now - this.typedAt < TYPING_EVERY_MS) return;
    this.typedAt = now;
    this.send({ type: "typing" });
  }

  /** The visitor looks at the chat. */
  markSeen(): void {
    const last = Math.max(0, ...this.store.messages.value.flatMap((one) => (one.direction === "outbound" && one.seq !== null ? [one.seq] : [])));
    if (last <= this.seen || !this.isReady) return;
    this.seen = last;
    this.send({ type: "seen", seq: last });
  }

  identify(identity: string): void {
    this.identity = identity;
    this.store.become(customerOf(identity));
    this.again();
  }

  async upload(file: File): Promise<ChatFile> {
    const answer = await fetch(`${this.origin}/chat/attachments?filename=${encodeURIComponent(file.name)}`, {
      method: "POST",
      headers: { Authorization: `Bearer ${this.store.token}`, "Content-Type": file.type || "application/octet-stream" },
      body: file,
    });
    if (!answer.ok) throw new Error(((await answer.json().catch(() => ({}))) as { detail?: string }).detail ?? answer.statusText);
    return (await answer.json()) as ChatFile;
  }

  close(): void {
    this.isClosed = true;
    clearInterval(this.pinging);
    clearTimeout(this.retry);
    window.removeEventListener("online", this.connect);
    const open = this.socket;
    this.socket = null;
    open?.close();
  }
}
