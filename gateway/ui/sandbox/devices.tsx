// The three things a customer holds: a phone, a mailbox, and the shop's page with the chat on it.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { clockTime } from "../kit/format";
import { Bubbles, WritingLine } from "./bubbles";
import { type Channel, type Message, customer, sandbox, thread, write } from "./state";

const PHONE: readonly { channel: Channel; title: string }[] = [
  { channel: "sms", title: "Messages" },
  { channel: "whatsapp", title: "WhatsApp" },
];

export function Phone() {
  const shown = useSignal<Channel>("sms");
  const number = customer.value?.addresses.sms ?? null;
  return (
    <section class="device phone" aria-labelledby="phone-title">
      <h2 id="phone-title">Phone</h2>
      {number === null ? (
        <p class="empty second">{customer.value?.name} has given the shop no number.</p>
      ) : (
        <>
          <p class="second">
            {number} writes to {sandbox.value?.channels[shown.value].address}
          </p>
          <div class="tabs" role="tablist" aria-label="App">
            {PHONE.map(({ channel, title }) => (
              <button
                key={channel}
                class="tab"
                role="tab"
                id={`tab-${channel}`}
                aria-selected={shown.value === channel}
                aria-controls="phone-app"
                onClick={() => (shown.value = channel)}
              >
                {title}
              </button>
            ))}
          </div>
          <div class="app" id="phone-app" role="tabpanel" aria-labelledby={`tab-${shown.value}`}>
            <Bubbles messages={on(shown.value)} empty="Nothing here yet. Write to the shop." />
            <WritingLine key={shown.value} channel={shown.value} withPicture label={shown.value === "sms" ? "Text message" : "WhatsApp message"} />
          </div>
        </>
      )}
    </section>
  );
}

function on(channel: Channel): Message[] {
  return thread.value.filter((message) => message.channel === channel);
}

export function Mailbox() {
  const mails = on("email");
  return (
    <section class="device" aria-labelledby="mail-title">
      <h2 id="mail-title">Mailbox</h2>
      <p class="second">
        {customer.value?.addresses.email} writes to {sandbox.value?.channels.email.address}
      </p>
      {mails.length ? (
        <ol class="mails" tabIndex={0} aria-label="Mails">
          {[...mails].reverse().map((mail) => (
            <Mail key={mail.external_id} mail={mail} />
          ))}
        </ol>
      ) : (
        <p class="empty second">No mail yet. Write one to the shop.</p>
      )}
      <MailForm isAnswerPossible={mails.some((mail) => mail.direction === "outbound")} />
    </section>
  );
}

function Mail({ mail }: { mail: Message }) {
  return (
    <li>
      <details class="mail">
        <summary>
          <span class="second">{mail.direction === "inbound" ? "To the shop" : "From the shop"}, {clockTime(mail.at, "en")}</span>
          <span dir="auto">{mail.subject || "(no subject)"}</span>
        </summary>
        <p class="body" dir="auto">{mail.text.trim()}</p>
        {mail.files.length > 0 && <p class="second">With {mail.files.join(", ")}</p>}
      </details>
    </li>
  );
}

function MailForm({ isAnswerPossible }: { isAnswerPossible: boolean }) {
  const subject = useSignal("");
  const text = useSignal("");
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    if (!text.value.trim()) return;
    const title = subject.value.trim() || (isAnswerPossible ? "" : "A question");
    if (await write({ channel: "email", text: text.value, ...(title && { subject: title }) })) {
      subject.value = "";
      text.value = "";
    }
  };
  return (
    <form class="mail-form" onSubmit={send}>
      <input
        class="field"
        aria-label="Subject"
        placeholder={isAnswerPossible ? "Subject (empty: answer the last mail)" : "Subject"}
        dir="auto"
        value={subject.value}
        onInput={(event) => (subject.value = event.currentTarget.value)}
      />
      <textarea
        class="field"
        rows={3}
        aria-label="Mail"
        placeholder="Mail"
        dir="auto"
        value={text.value}
        onInput={(event) => (text.value = event.currentTarget.value)}
      />
      <button class="button primary" type="submit">Send mail</button>
    </form>
  );
}

interface Chat {
  identify(identity: string): void;
  destroy(): void;
}

declare global {
  interface Window {
    GatewayChat?: Chat;
  }
}

/** The shop's page, with the widget that the shop's visitors get, logged in as the chosen customer. */
export function ShopPage() {
  const who = customer.value;
  useEffect(() => {
    if (!who) return;
    const script = document.createElement("script");
    script.src = "/chat/widget.js";
    script.dataset["language"] = who.language;
    script.dataset["customer"] = who.id;
    script.addEventListener("load", () => window.GatewayChat?.identify(who.identity));
    document.body.append(script);
    return () => {
      window.GatewayChat?.destroy();
      script.remove();
    };
  }, [who?.id]);
  return (
    <section class="device shop" aria-labelledby="shop-title">
      <h2 id="shop-title">{sandbox.value?.shop}</h2>
      <p class="second">The shop's page, as {who?.name} sees it. The chat is at the bottom of this window.</p>
      <ul class="goods" aria-label="Goods">
        {["Calm serum", "Night balm", "Oat cleanser", "Clay mask"].map((name) => (
          <li class="good" key={name}>
            <span class="picture" aria-hidden="true" />
            {name}
          </li>
        ))}
      </ul>
    </section>
  );
}
