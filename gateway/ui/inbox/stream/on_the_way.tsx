// An answer that the gateway has not got yet, or does not take.

import { drop, type Outgoing, sendReply } from "../state/outgoing";
import { giveBack } from "../composer/given_back";
import { say } from "../strings/say";

export function OnTheWay({ one }: { one: Outgoing }) {
  const edit = () => {
    drop(one.key);
    giveBack(one.conversation, one.body.text);
  };
  const anyway = () => {
    drop(one.key);
    void sendReply(one.conversation, { ...one.body, seen_seq: null });
  };
  return (
    <article class="message ours is-pending">
      <div class="bubble">
        <p class="words" dir="auto">{one.body.text}</p>
      </div>
      {one.error === null ? (
        <p class="under second">{say("stream.sending")}</p>
      ) : (
        <p class="remedy error" role="alert">
          {one.isConflict ? say("composer.conflict") : say("composer.refused", { reason: one.error })}
          {one.isConflict && <button class="button" onClick={anyway}>{say("composer.send_anyway")}</button>}
          <button class="button" onClick={edit}>{say("composer.edit")}</button>
        </p>
      )}
    </article>
  );
}
