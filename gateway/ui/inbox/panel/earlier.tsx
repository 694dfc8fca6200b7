// What was said with this contact in other conversations.

import type { ContactCardView } from "../../generated/api";
import { Icon } from "../../kit/icons";
import { open } from "../state/open";
import { go } from "../state/place";
import { language, say } from "../strings/say";
import { shortDate } from "./dates";
import { Part } from "./panel";
import { historyOf } from "./view_model";

export function Earlier({ card }: { card: ContactCardView }) {
  const { conversations } = historyOf(card, open.value?.id ?? null);
  return (
    <Part title={say("panel.earlier")}>
      {conversations.length === 0 && <p class="second">{say("panel.no_earlier")}</p>}
      <ul>
        {conversations.map((conversation) => (
          <li key={conversation.id}>
            <button class="offer" onClick={() => go({ conversation: conversation.id })}>
              <Icon name={conversation.channel} label={say(`stream.${conversation.channel}`)} />
              <bdi class="words" lang={conversation.language ?? undefined}>
                {conversation.subject ?? conversation.preview ?? conversation.topic ?? conversation.queue}
              </bdi>
              <span class="second aside">
                {say(`panel.${conversation.status}`)}, {shortDate(conversation.last_message_at, language.value)}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </Part>
  );
}
