// Answers on their way to the gateway: shown at once, tried again while it is away, each sent once by its key.

import { signal } from "@preact/signals";
import type { MessageView, ReplyBody } from "../../generated/api";
import { ApiError, post } from "../../kit/api";
import { OpenConversation, open } from "./open";

const AGAIN_MS = 1500;
export const HOLD_S = 10;

export interface Outgoing {
  key: string;
  conversation: string;
  body: ReplyBody;
  at: string;
  /** What the gateway said against it; null while it is on its way. */
  error: string | null;
  isConflict: boolean;
}

export const outgoing = signal<readonly Outgoing[]>([]);

function change(key: string, changed: Partial<Outgoing> | null): void {
  outgoing.value = outgoing.value.flatMap((one) => (one.key !== key ? [one] : changed ? [{ ...one, ...changed }] : []));
}

/** Sends an answer; resolves with the message when the gateway has it, with null when it was refused. */
export async function sendReply(conversation: string, body: ReplyBody): Promise<MessageView | null> {
  const one: Outgoing = {
    key: crypto.randomUUID(),
    conversation,
    body,
    at: new Date().toISOString(),
    error: null,
    isConflict: false,
  };
  outgoing.value = [...outgoing.value, one];
  for (;;) {
    try {
      const message = await post<MessageView>(`/v1/conversations/${conversation}/messages`, body, one.key);
      change(one.key, null);
      show(conversation, message);
      return message;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!error.isTransient) {
        change(one.key, { error: error.message, isConflict: error.status === 409 });
        return null;
      }
    }
    await new Promise((wake) => setTimeout(wake, AGAIN_MS));
  }
}

export function drop(key: string): void {
  change(key, null);
}

/** Takes a message back; true if it had not begun to leave. */
export async function takeBack(message: MessageView): Promise<boolean> {
  try {
    show(message.conversation_id, await post<MessageView>(`/v1/messages/${message.id}/cancel`));
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return false;
  }
}

export async function sendAgain(message: MessageView): Promise<void> {
  show(message.conversation_id, await post<MessageView>(`/v1/messages/${message.id}/resend`));
}

function show(conversation: string, message: MessageView): void {
  const shown: OpenConversation | null = open.value;
  if (shown?.id === conversation) shown.put([message]);
}
