// What was said: a greeting and the usual topics first, then the conversation.

import { useEffect, useRef } from "preact/hooks";
import { clockTime, fileSize } from "../../kit/format";
import { Icon } from "../../kit/icons";
import type { Words } from "../strings/en";
import type { Chat } from "./chat";
import { findLinks } from "./links";
import type { ChatFile, ChatMessage } from "./store";

export function Messages({ chat }: { chat: Chat }) {
  const place = useRef<HTMLDivElement>(null);
  const messages = chat.store.messages.value;
  const waiting = chat.store.outbox.value;
  useEffect(() => {
    place.current?.scrollTo({ top: place.current.scrollHeight });
  }, [messages.length, waiting.length, chat.isShown.value]);
  const lastOwn = messages.findLast((one) => one.direction === "inbound" && one.seq !== null);
  return (
    <div class="messages" ref={place} tabIndex={0} role="region" aria-label={chat.say("title")}>
      <p class="bubble">{chat.say("greeting")}</p>
      <p class="hint">{expectation(chat)}</p>
      {!chat.hasBegun.value && <Topics chat={chat} />}
      <ol>
        {messages.map((message) => (
          <Message key={message.id} chat={chat} message={message} isLastOwn={message === lastOwn} />
        ))}
        {waiting.map((one) => (
          <li key={one.id} class="message own">
            <span class="unseen">{chat.say("you")}: </span>
            <div class="bubble" dir="auto">{one.text}</div>
            <Files files={one.attachments} language={chat.host.language} />
            <span class="hint">{chat.say("waiting")}</span>
          </li>
        ))}
      </ol>
    </div>
  );
}

function expectation(chat: Chat): string {
  const minutes = chat.config.answers_within_min;
  return minutes && chat.config.is_open ? chat.say("answers_within", { count: minutes }) : chat.say("answers_later");
}

function Topics({ chat }: { chat: Chat }) {
  const known = chat.config.topics.filter((topic): topic is keyof Words & string => topic in chat.words);
  if (chat.config.ask.topic === "off" || !known.length) return null;
  return (
    <div class="topics" role="group" aria-label={chat.say("topics")}>
      {known.map((topic) => (
        <button
          key={topic}
          type="button"
          class="topic"
          aria-pressed={chat.topic.value === topic}
          onClick={() => (chat.topic.value = chat.topic.value === topic ? null : topic)}
        >
          {chat.say(topic)}
        </button>
      ))}
    </div>
  );
}

function Message({ chat, message, isLastOwn }: { chat: Chat; message: ChatMessage; isLastOwn: boolean }) {
  const isOwn = message.direction === "inbound";
  const isRead = message.seq !== null && message.seq <= chat.line.readSeq.value;
  return (
    <li class={isOwn ? "message own" : "message"}>
      <span class="unseen">{isOwn ? chat.say("you") : (message.author ?? chat.say("us"))}: </span>
      {message.text && (
        <div class="bubble" dir="auto">
          {findLinks(message.text).map((piece, index) =>
            "link" in piece ? (
              <a key={index} href={piece.link} target="_blank" rel="noopener noreferrer nofollow">{piece.link}</a>
            ) : (
              piece.text
            ),
          )}
        </div>
      )}
      <Files files={message.attachments} language={chat.host.language} />
      <span class="hint">
        {!isOwn && message.author && <span dir="auto">{message.author} </span>}
        <time dateTime={message.at}>{clockTime(message.at, chat.host.language)}</time>
        {isLastOwn && ` ${chat.say(isRead ? "read" : "sent")}`}
      </span>
    </li>
  );
}

const SHOWN = /^image\/(png|jpeg|gif|webp)$/;

function Files({ files, language }: { files: readonly ChatFile[]; language: string }) {
  return (
    <>
      {files.map((file) =>
        file.url && SHOWN.test(file.content_type) ? (
          <a key={file.id} href={file.url} target="_blank" rel="noopener">
            <img class="picture" src={file.url} alt={file.filename} loading="lazy" />
          </a>
        ) : (
          <a key={file.id} class="file" {...(file.url && { href: file.url })} download>
            <Icon name="file" /> <span dir="auto">{file.filename}</span> {fileSize(file.size, language)}
          </a>
        ),
      )}
    </>
  );
}
