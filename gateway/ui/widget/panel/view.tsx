// The open chat: who one talks to, what was said, where one writes.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "../../kit/icons";
import { type Chat, isEmail } from "./chat";
import { Messages } from "./messages";

export function Panel({ chat }: { chat: Chat }) {
  const field = useRef<HTMLTextAreaElement>(null);
  const isShown = chat.isShown.value;
  useEffect(() => {
    if (isShown) field.current?.focus();
  }, [isShown]);
  return (
    <section
      class="panel"
      hidden={!isShown}
      role="dialog"
      aria-label={chat.say("title")}
      onKeyDown={(event) => {
        if (event.key === "Escape") chat.host.close();
        event.stopPropagation(); // the page's own shortcuts are not for what is typed here
      }}
    >
      <header>
        <h2>{chat.say("title")}</h2>
        <button type="button" class="plain" onClick={() => chat.host.close()}>
          <Icon name="close" label={chat.say("close")} />
        </button>
      </header>
      <Messages chat={chat} />
      <p class="unseen" aria-live="polite">{chat.spoken.value}</p>
      <Status chat={chat} />
      <Writing chat={chat} field={field} />
      <Foot chat={chat} />
    </section>
  );
}

/** One calm sentence at a time: what is wrong, or what happens now. */
function Status({ chat }: { chat: Chat }) {
  const { line } = chat;
  const away = line.awayBy.value;
  const text = !line.isConnected.value
    ? chat.say("offline")
    : (chat.trouble.value ?? line.refusal.value ?? (line.isAgentTyping.value ? chat.say("typing") : null));
  return (
    <>
      <p class={chat.trouble.value || line.refusal.value ? "status late" : "status"} role="status">{text ?? ""}</p>
      {away && <Away chat={chat} by={away} />}
    </>
  );
}

function Away({ chat, by }: { chat: Chat; by: readonly string[] }) {
  if (by.includes("email") || chat.isLeft.value) return <p class="away" role="status">{chat.isLeft.value ? chat.say("left") : chat.say("away_mail")}</p>;
  if (by.includes("sms")) return <p class="away" role="status">{chat.say("away_sms")}</p>;
  return (
    <form
      class="away"
      onSubmit={(event) => {
        event.preventDefault();
        if (isEmail(chat.email.value)) chat.leave();
        else chat.trouble.value = chat.say("email_wrong");
      }}
    >
      <p role="status">{chat.say("away_ask")}</p>
      <div class="line">
        <Field chat={chat} name="email" />
        <button class="main" type="submit">{chat.say("leave")}</button>
      </div>
    </form>
  );
}

function Field({ chat, name, hint }: { chat: Chat; name: "name" | "email"; hint?: string }) {
  const label = hint ? `${chat.say(name)} (${hint})` : chat.say(name);
  const value = name === "name" ? chat.name : chat.email;
  return (
    <input
      class="field"
      type="text"
      inputMode={name === "email" ? "email" : "text"}
      autocomplete={name}
      aria-label={label}
      placeholder={label}
      dir="auto"
      value={value.value}
      onInput={(event) => (value.value = event.currentTarget.value)}
    />
  );
}

function Writing({ chat, field }: { chat: Chat; field: { current: HTMLTextAreaElement | null } }) {
  const send = () => {
    chat.send();
    field.current?.focus();
  };
  return (
    <form
      class="writing"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <Asked chat={chat} />
      {chat.files.value.length > 0 && (
        <ul class="files">
          {chat.files.value.map((one) => (
            <li key={one.key}>
              <span dir="auto">{one.file ? one.name : chat.say("attaching", { name: one.name })}</span>
              <button type="button" class="plain" onClick={() => chat.drop(one.key)}>
                <Icon name="close" label={chat.say("remove", { name: one.name })} />
              </button>
            </li>
          ))}
        </ul>
      )}
      <div class="line">
        <label class="plain attach">
          <Icon name="attach" label={chat.say("attach")} />
          <input class="unseen" type="file" multiple onChange={(event) => void chat.attach([...(event.currentTarget.files ?? [])])} />
        </label>
        <textarea
          ref={field}
          class="field"
          rows={1}
          dir="auto"
          aria-label={chat.say("write")}
          placeholder={chat.say("write")}
          value={chat.text.value}
          onInput={(event) => {
            chat.text.value = event.currentTarget.value;
            chat.line.tellTyping();
          }}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            send();
          }}
        />
        <button class="main" type="submit">
          <Icon name="send" label={chat.say("send")} />
        </button>
      </div>
    </form>
  );
}

/** What the shop would like to know first; only what it insists on keeps a message back. */
function Asked({ chat }: { chat: Chat }) {
  if (chat.hasBegun.value || chat.store.isKnown || !chat.text.value) return null;
  const { ask } = chat.config;
  const hint = (wish: string) => (wish === "required" ? {} : { hint: chat.say("optional") });
  return (
    <>
      {ask.name !== "off" && <Field chat={chat} name="name" {...hint(ask.name)} />}
      {ask.email !== "off" && <Field chat={chat} name="email" {...hint(ask.email)} />}
    </>
  );
}

function Foot({ chat }: { chat: Chat }) {
  const isAsking = useSignal(false);
  const send = (event: Event) => {
    event.preventDefault();
    if (!isEmail(chat.email.value)) {
      chat.trouble.value = chat.say("email_wrong");
      return;
    }
    chat.trouble.value = null;
    chat.line.askTranscript(chat.email.value.trim());
    isAsking.value = false;
  };
  return (
    <footer>
      {chat.line.isTranscriptSent.value && <p role="status">{chat.say("transcript_sent")}</p>}
      {isAsking.value && (
        <form class="line" onSubmit={send}>
          <Field chat={chat} name="email" />
          <button class="main" type="submit">{chat.say("transcript_send")}</button>
        </form>
      )}
      <p>
        {chat.say("privacy")}{" "}
        {chat.config.privacy_url && /^https?:/.test(chat.config.privacy_url) && (
          <a href={chat.config.privacy_url} target="_blank" rel="noopener">{chat.say("privacy_link")}</a>
        )}
        {chat.hasBegun.value && (
          <button type="button" class="plain text" aria-expanded={isAsking.value} onClick={() => (isAsking.value = !isAsking.value)}>
            {chat.say("transcript")}
          </button>
        )}
      </p>
    </footer>
  );
}

