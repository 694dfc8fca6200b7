// A row of messages as a phone or a mailbox shows them, and the line under it to write on.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "../kit/icons";
import { clockTime } from "../kit/format";
import { type Channel, type Message, customer, readPicture, write } from "./state";

const STATUS_WORDS: Readonly<Record<string, string>> = {
  queued: "on its way",
  sent: "sent",
  delivered: "delivered",
  read: "read",
  undelivered: "could not be delivered",
  failed: "failed",
};

export function Bubbles({ messages, empty }: { messages: Message[]; empty: string }) {
  const place = useRef<HTMLOListElement>(null);
  useEffect(() => {
    place.current?.scrollTo({ top: place.current.scrollHeight });
  }, [messages.length]);
  if (!messages.length) return <p class="empty second">{empty}</p>;
  return (
    <ol class="bubbles" ref={place} tabIndex={0} aria-label="Messages">
      {messages.map((message) => (
        <Bubble key={message.external_id} message={message} />
      ))}
    </ol>
  );
}

function Bubble({ message }: { message: Message }) {
  const isMine = message.direction === "inbound";
  const status = message.status && !isMine ? STATUS_WORDS[message.status] : null;
  return (
    <li class={isMine ? "bubble mine" : "bubble"}>
      <span class="unseen">{isMine ? "You wrote:" : "The shop wrote:"}</span>
      <span dir="auto">{message.text}</span>
      {message.files.map((name, index) => (
        <span class="file" key={index}>
          <Icon name="image" /> {name || "picture"}
        </span>
      ))}
      <small class="second">
        {clockTime(message.at, "en")}
        {status && `, ${status}`}
      </small>
    </li>
  );
}

/** A line to write on; the text stays until the gateway took it. */
export function WritingLine({ channel, label, withPicture }: { channel: Channel; label: string; withPicture: boolean }) {
  const text = useSignal("");
  const picture = useSignal<File | null>(null);
  const isBusy = useSignal(false);
  const send = async (event: Event) => {
    event.preventDefault();
    if (isBusy.value || (!text.value.trim() && !picture.value)) return;
    isBusy.value = true;
    const sent = picture.value ? await readPicture(picture.value) : undefined;
    const isTaken = await write({ channel, text: text.value.trim() || " ", ...(sent && { picture: sent }) });
    if (isTaken) {
      text.value = "";
      picture.value = null;
    }
    isBusy.value = false;
  };
  return (
    <form class="line" onSubmit={send}>
      <input
        class="field"
        aria-label={label}
        placeholder={label}
        dir="auto"
        lang={customer.value?.language}
        value={text.value}
        onInput={(event) => (text.value = event.currentTarget.value)}
      />
      {withPicture && <PictureButton chosen={picture.value} choose={(file) => (picture.value = file)} />}
      <button class="button primary" type="submit" aria-disabled={isBusy.value}>
        <Icon name="send" label="Send" />
      </button>
    </form>
  );
}

function PictureButton({ chosen, choose }: { chosen: File | null; choose: (file: File | null) => void }) {
  return (
    <label class="button picture" title={chosen ? chosen.name : "Add a picture"}>
      <Icon name={chosen ? "check" : "attach"} label={chosen ? `With ${chosen.name}` : "Add a picture"} />
      <input
        class="unseen"
        type="file"
        accept="image/png,image/jpeg,image/gif,image/webp"
        onChange={(event) => choose(event.currentTarget.files?.[0] ?? null)}
      />
    </label>
  );
}
