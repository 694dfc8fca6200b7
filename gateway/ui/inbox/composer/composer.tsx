// The composer: where an answer or a note is written. It never loses a character.

import { computed, signal, useSignalEffect } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { AllowanceList, AllowanceView, ChannelName, ReplyBody } from "../../generated/api";
import { get, post } from "../../kit/api";
import { amount, fullTime } from "../../kit/format";
import { Icon } from "../../kit/icons";
import { explain, tell } from "../state/actions";
import { register } from "../state/commands";
import { keepDraft, readDraft } from "../state/drafts";
import { sayTyping } from "../state/live";
import type { OpenConversation } from "../state/open";
import { HOLD_S, sendReply, takeBack } from "../state/outgoing";
import { agents } from "../state/views";
import { language, say } from "../strings/say";
import { Choices } from "./choices";
import { giveBack, givenBack } from "./given_back";
import { wordAt } from "./mention";
import { SendLater } from "./send_later";
import { countSegments } from "./segments";
import { Uploads } from "./uploads";

type Kind = "reply" | "note";

export function Composer({ shown }: { shown: OpenConversation }) {
  const state = useMemo(() => new ComposerState(shown), [shown]);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => state.open(), [state]);
  useEffect(() => void state.askChannels(), [state, shown.conversation.value?.last_seq]);
  useEffect(() => {
    const write = (kind: Kind) => {
      state.kind.value = kind;
      field.current?.focus();
    };
    return register(
      { id: "reply", title: () => say("palette.write_reply"), group: "reply", keys: ["r"], run: () => write("reply") },
      { id: "note", title: () => say("palette.write_note"), group: "reply", keys: ["n"], run: () => write("note") },
    );
  }, [state]);
  useSignalEffect(() => {
    const back = givenBack.value;
    if (back?.conversation !== shown.id) return;
    givenBack.value = null;
    const text = state.text.peek();
    state.write(text ? `${back.text}\n${text}` : back.text);
    field.current?.focus();
  });
  const isNote = state.kind.value === "note";
  const drop = (event: DragEvent) => {
    event.preventDefault();
    void state.uploads.add([...(event.dataTransfer?.files ?? [])]);
  };
  return (
    <form
      class={isNote ? "composer is-note" : "composer"}
      onSubmit={(event) => {
        event.preventDefault();
        void state.send();
      }}
      onDragOver={(event) => event.preventDefault()}
      onDrop={drop}
    >
      <Head state={state} />
      <Field state={state} field={field} />
      <Attached uploads={state.uploads} />
      <Foot state={state} />
    </form>
  );
}

/** What is being written in one conversation. */
class ComposerState {
  readonly kind = signal<Kind>("reply");
  readonly text = signal("");
  readonly caret = signal(0);
  readonly channels = signal<readonly AllowanceView[]>([]);
  readonly picked = signal<ChannelName | null>(null);
  readonly uploads = new Uploads();
  readonly channel = computed(() => {
    const wanted = this.picked.value;
    return this.channels.value.find((one) => (wanted ? one.channel === wanted : one.is_default)) ?? null;
  });

  constructor(readonly shown: OpenConversation) {}

  open(): void {
    void readDraft(this.shown.id).then((text) => {
      if (!this.text.value) this.text.value = text;
    });
  }

  /** Asks again after each thing that happened: a window opens with the customer's next word. */
  async askChannels(): Promise<void> {
    const found = await get<AllowanceList>(`/v1/conversations/${this.shown.id}/channels`).catch(() => null);
    if (found) this.channels.value = found.items;
  }

  write(text: string): void {
    this.text.value = text;
    keepDraft(this.shown.id, text);
    if (text && this.kind.value === "reply") sayTyping(this.shown.id);
  }

  async send(sendAt: Date | null = null): Promise<void> {
    const text = this.text.value.trim();
    if ((!text && !this.uploads.all.value.length) || this.uploads.isBusy) return;
    if (this.kind.value === "note") {
      await this.addNote(text);
      return;
    }
    const channel = this.channel.value;
    if (!channel?.can_send) return;
    const body: ReplyBody = {
      text,
      channel: channel.channel,
      attachments: this.uploads.take(),
      seen_seq: this.shown.lastSeq.value,
      ...(sendAt ? { send_at: sendAt.toISOString() } : { hold_s: HOLD_S }),
    };
    this.write("");
    const message = await sendReply(this.shown.id, body);
    if (!message) return;
    const undo = async () => {
      if (await takeBack(message)) giveBack(this.shown.id, text);
      else tell({ text: say("composer.undo_late"), isError: true });
    };
    const told = sendAt
      ? say("composer.scheduled", { time: fullTime(sendAt.toISOString(), language.value) })
      : say("composer.sent", { seconds: HOLD_S });
    tell({ text: told, undo: () => void undo() });
  }

  private async addNote(text: string): Promise<void> {
    const mentions = agents.value.filter((agent) => text.includes(`@${agent.name}`)).map((agent) => agent.id);
    try {
      await post(`/v1/conversations/${this.shown.id}/notes`, { text, mentions });
      this.write("");
      this.kind.value = "reply";
    } catch (error) {
      tell({ text: say("composer.refused", { reason: explain(error) }), isError: true });
    }
  }
}

function Head({ state }: { state: ComposerState }) {
  const channel = state.channel.value;
  return (
    <div class="head">
      <div class="kinds" role="group">
        {(["reply", "note"] as const).map((kind) => (
          <button key={kind} type="button" class="button quiet" aria-pressed={state.kind.value === kind} onClick={() => (state.kind.value = kind)}>
            {say(`composer.${kind}`)}
          </button>
        ))}
      </div>
      {state.kind.value === "reply" && channel && (
        <>
          <Icon name={channel.channel} />
          <select
            class="field channels"
            aria-label={say("composer.channel")}
            value={channel.channel}
            onChange={(event) => (state.picked.value = event.currentTarget.value as ChannelName)}
          >
            {state.channels.value.map((one) => (
              <option key={one.channel} value={one.channel} disabled={!one.can_send}>
                {say(`stream.${one.channel}`)}
              </option>
            ))}
          </select>
          <span class={channel.can_send ? "second" : "error"} dir="auto">
            {channel.reason ?? say("composer.to", { address: shownAddress(channel) })}
          </span>
        </>
      )}
    </div>
  );
}

function shownAddress(channel: AllowanceView): string {
  return channel.channel === "webchat" ? say("stream.webchat") : (channel.address?.value ?? "");
}

function Field({ state, field }: { state: ComposerState; field: { current: HTMLTextAreaElement | null } }) {
  const isNote = state.kind.value === "note";
  const at = isNote ? wordAt(state.text.value, state.caret.value, "@") : null;
  const items = at
    ? agents.value
        .filter((agent) => agent.name.toLowerCase().includes(at.word.toLowerCase()))
        .slice(0, 8)
        .map((agent) => ({ key: agent.id, title: agent.name, text: `@${agent.name} ` }))
    : [];
  const choose = (text: string) => {
    if (!at) return;
    const before = state.text.value.slice(0, at.start) + text;
    state.write(before + state.text.value.slice(state.caret.value));
    state.caret.value = before.length;
    field.current?.focus();
  };
  return (
    <Choices items={items} label={say("composer.colleagues")} choose={choose}>
      <textarea
        ref={field}
        class="field"
        dir="auto"
        rows={3}
        aria-label={say(isNote ? "composer.note" : "composer.reply")}
        placeholder={say(isNote ? "composer.write_note" : "composer.write_reply")}
        value={state.text.value}
        onInput={(event) => {
          state.write(event.currentTarget.value);
          state.caret.value = event.currentTarget.selectionStart;
        }}
        onSelect={(event) => (state.caret.value = event.currentTarget.selectionStart)}
        onPaste={(event) => {
          const files = [...(event.clipboardData?.files ?? [])];
          if (!files.length) return;
          event.preventDefault();
          void state.uploads.add(files);
        }}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            void state.send();
          } else if (event.key === "Escape") event.currentTarget.blur();
        }}
      />
    </Choices>
  );
}

function Attached({ uploads }: { uploads: Uploads }) {
  if (!uploads.all.value.length) return null;
  return (
    <ul class="attached">
      {uploads.all.value.map((one) => (
        <li key={one.key} class="second">
          <Icon name="file" /> <span dir="auto">{one.file ? one.name : say("composer.attaching", { name: one.name })}</span>
          <button type="button" class="button quiet small" onClick={() => uploads.remove(one.key)}>
            <Icon name="close" label={say("composer.remove", { name: one.name })} />
          </button>
        </li>
      ))}
    </ul>
  );
}

function Foot({ state }: { state: ComposerState }) {
  const isNote = state.kind.value === "note";
  const cannotSend = !isNote && !state.channel.value?.can_send;
  return (
    <div class="foot">
      <span class="second allowance">{isNote ? "" : allowanceOf(state)}</span>
      {!isNote && (
        <>
          <label class="button quiet">
            <Icon name="attach" label={say("composer.attach")} />
            <input class="unseen" type="file" multiple onChange={(event) => void state.uploads.add([...(event.currentTarget.files ?? [])])} />
          </label>
          <SendLater choose={(at) => void state.send(at)} />
        </>
      )}
      <button class="button primary" type="submit" aria-disabled={cannotSend} title={say("composer.send_hint")}>
        <Icon name={isNote ? "note" : "send"} /> {say(isNote ? "composer.add_note" : "composer.send")}
      </button>
    </div>
  );
}

function allowanceOf(state: ComposerState): string {
  const channel = state.channel.value;
  const text = state.text.value;
  if (!channel) return "";
  const over = channel.max_characters === null ? 0 : [...text].length - channel.max_characters;
  if (over > 0) return say("composer.too_long", { count: over });
  if (channel.counts_segments && text) {
    const segments = countSegments(text);
    return say("composer.segments", { count: segments.count, left: segments.left });
  }
  if (channel.window_ends_at && channel.can_send) {
    return say("composer.window", { time: amount(Date.parse(channel.window_ends_at) - Date.now(), language.value) });
  }
  return state.shown.conversation.value?.status === "resolved" ? say("composer.resolved") : "";
}
