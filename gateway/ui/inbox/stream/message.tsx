// One message: who, what, how far it came.

import { useSignal } from "@preact/signals";
import type { MessageView } from "../../generated/api";
import { fullTime } from "../../kit/format";
import { Icon, type IconName } from "../../kit/icons";
import { explain, tell } from "../state/actions";
import { sendAgain, takeBack } from "../state/outgoing";
import { language, say } from "../strings/say";
import { Files } from "./files";
import { Mail } from "./mail";
import { fold } from "./quotes";
import { Time } from "./stream";

const TICKS: Partial<Record<MessageView["status"], IconName>> = {
  scheduled: "clock",
  queued: "clock",
  sent: "check",
  delivered: "checks",
  read: "checks",
  failed: "warning",
  unknown: "question",
  cancelled: "close",
};

export function Message({ message, isChannelNew, contact }: { message: MessageView; isChannelNew: boolean; contact: string | null }) {
  const isOurs = message.direction === "outbound";
  const name = message.author.name ?? (isOurs ? say("stream.system") : (contact ?? say("list.someone")));
  const isMail = useSignal(false);
  return (
    <article class={`message ${isOurs ? "ours" : "theirs"} is-${message.status}`} data-message={message.id}>
      {isChannelNew && (
        <p class="channel second">
          <Icon name={message.channel} /> {say(`stream.${message.channel}`)}
          {message.subject && <span dir="auto"> {message.subject}</span>}
        </p>
      )}
      <div class="bubble">
        <p class="unseen">{say(isOurs ? "stream.we_wrote" : "stream.customer_wrote", { name })}</p>
        {isMail.value ? <Mail message={message} /> : <Words message={message} />}
        {message.html && (
          <button class="button quiet small" onClick={() => (isMail.value = !isMail.value)}>
            {say(isMail.value ? "stream.show_text" : "stream.show_layout")}
          </button>
        )}
        <Files files={message.attachments} />
      </div>
      <p class="under second">
        {isOurs && <span dir="auto">{name}</span>} <Time at={message.at} />
        {isOurs && <Tick message={message} />}
      </p>
      {isOurs && <Remedy message={message} />}
    </article>
  );
}

function Words({ message }: { message: MessageView }) {
  const { words, quoted } = fold(message.text, message.channel === "email" && message.direction === "inbound");
  return (
    <>
      <p class="words" dir="auto" lang={message.language ?? undefined}>{words}</p>
      {quoted && (
        <details class="quoted">
          <summary aria-label="…">…</summary>
          <p class="words second" dir="auto">{quoted}</p>
        </details>
      )}
    </>
  );
}

function Tick({ message }: { message: MessageView }) {
  const icon = TICKS[message.status];
  if (!icon || message.status === "received") return null;
  const time = message.send_at ? fullTime(message.send_at, language.value) : "";
  return (
    <span class={`tick ${message.status}`}>
      <Icon name={icon} /> {say(`stream.${message.status}`, { time })}
    </span>
  );
}

/** What can still be done about a message: take it back, or send it again. */
function Remedy({ message }: { message: MessageView }) {
  const again = async () => {
    try {
      await sendAgain(message);
    } catch (error) {
      tell({ text: explain(error), isError: true });
    }
  };
  const back = async () => {
    if (!(await takeBack(message))) tell({ text: say("stream.too_late"), isError: true });
  };
  if (message.status === "failed" || message.status === "unknown") {
    return (
      <p class="remedy error">
        {message.error && <span dir="auto">{message.error}</span>}
        <button class="button" onClick={() => void again()}>{say("stream.send_again")}</button>
      </p>
    );
  }
  if (message.status !== "scheduled") return null;
  return (
    <p class="remedy">
      <button class="button" onClick={() => void back()}>{say("stream.take_back")}</button>
    </p>
  );
}
