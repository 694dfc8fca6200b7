// What the panel's parts share: the words, the line, the shop's wishes, what is being written.

import { computed, signal } from "@preact/signals";
import { type Language, type Values, fillIn } from "../../kit/language";
import type { PanelHost } from "../protocol";
import type { Words } from "../strings/en";
import { Line } from "./line";
import { type ChatFile, Store } from "./store";

type Ask = "off" | "optional" | "required";

export interface Config {
  shop: string;
  ask: { topic: Ask; name: Ask; email: Ask };
  topics: string[];
  privacy_url: string | null;
  is_open: boolean;
  answers_within_min: number | null;
  max_upload_bytes: number;
}

export const DEFAULTS: Config = {
  shop: "",
  ask: { topic: "optional", name: "off", email: "optional" },
  topics: ["order.status", "delivery.tracking", "return.start", "refund.progress", "presales.usage", "other"],
  privacy_url: null,
  is_open: true,
  answers_within_min: null,
  max_upload_bytes: 10_000_000,
};

const EMAIL = /^[^@\s<>,;"]+@[^@\s<>,;"]+\.[^@\s<>,;"]+$/;

export class Chat {
  readonly store: Store;
  readonly line: Line;
  readonly isShown = signal(false);
  readonly unread = signal(0);
  readonly text = signal("");
  readonly topic = signal<string | null>(null);
  readonly name = signal("");
  readonly email = signal("");
  readonly files = signal<readonly { key: number; name: string; file: ChatFile | null }[]>([]);
  readonly trouble = signal<string | null>(null);
  readonly isLeft = signal(false);
  readonly spoken = signal("");
  readonly hasBegun = computed(() => this.store.messages.value.length > 0 || this.store.outbox.value.length > 0);
  private keys = 0;

  constructor(
    readonly host: PanelHost,
    readonly words: Words,
    readonly config: Config,
  ) {
    this.store = new Store(host.origin);
    this.line = new Line(host.origin, host.language, this.store, host.identity);
    this.line.onMessage = (message) => {
      if (message.direction !== "outbound" || message.seq === null) return;
      host.emit("message", { text: message.text });
      this.spoken.value = `${this.say("us")}: ${message.text}`;
      if (this.isShown.value) this.line.markSeen();
      else this.setUnread(this.unread.value + 1);
    };
  }

  say(key: keyof Words, values: Values = {}): string {
    return fillIn(this.words[key], this.host.language as Language, { shop: this.config.shop || "", ...values });
  }

  show(): void {
    this.isShown.value = true;
    this.setUnread(0);
    this.line.markSeen();
  }

  private setUnread(count: number): void {
    this.unread.value = count;
    this.host.setUnread(count);
  }

  /** Returns what must be said before a message can go, or null. */
  missing(): "name" | "email" | null {
    const { ask } = this.config;
    if (ask.name === "required" && !this.store.isKnown && !this.name.value.trim()) return "name";
    if (ask.email === "required" && !this.store.isKnown && !this.email.value.trim()) return "email";
    if (this.email.value.trim() && !isEmail(this.email.value)) return "email";
    return null;
  }

  /** Sends what is written; false if something must be said first. What is written stays then. */
  send(): boolean {
    const text = this.text.value.trim();
    const files = this.files.value.flatMap((one) => (one.file ? [one.file] : []));
    if ((!text && !files.length) || this.files.value.some((one) => one.file === null)) return true;
    const missing = this.missing();
    if (missing) {
      this.trouble.value = this.email.value.trim() && missing === "email" ? this.say("email_wrong") : this.say("needed");
      return false;
    }
    this.trouble.value = null;
    this.line.write(text, files, this.hasBegun.value ? null : this.topic.value);
    if (this.name.value.trim() || this.email.value.trim()) this.leave();
    this.text.value = "";
    this.files.value = [];
    return true;
  }

  /** Tells us how to reach the visitor when they have gone. */
  leave(): void {
    if (this.email.value.trim() && !isEmail(this.email.value)) {
      this.trouble.value = this.say("email_wrong");
      return;
    }
    this.trouble.value = null;
    this.line.claim(this.name.value.trim(), this.email.value.trim());
    this.isLeft.value = Boolean(this.email.value.trim());
  }

  async attach(chosen: readonly File[]): Promise<void> {
    for (const file of chosen) {
      const key = ++this.keys;
      this.files.value = [...this.files.value, { key, name: file.name, file: null }];
      try {
        const kept = await this.line.upload(file);
        this.files.value = this.files.value.map((one) => (one.key === key ? { ...one, file: kept } : one));
      } catch (error) {
        this.drop(key);
        this.trouble.value = this.say("attach_failed", { name: file.name, reason: error instanceof Error ? error.message : "" });
      }
    }
  }

  drop(key: number): void {
    this.files.value = this.files.value.filter((one) => one.key !== key);
  }
}

export function isEmail(text: string): boolean {
  return EMAIL.test(text.trim());
}

export async function loadConfig(origin: string): Promise<Config> {
  try {
    const answer = await fetch(`${origin}/chat/config`);
    return answer.ok ? { ...DEFAULTS, ...((await answer.json()) as Partial<Config>) } : DEFAULTS;
  } catch {
    return DEFAULTS; // the line says by itself when the gateway is away
  }
}
