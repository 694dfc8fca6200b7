// The four lists of the actions bar: to whom, to which queue, until when, about what.

import { useSignal } from "@preact/signals";
import type { ConversationView } from "../../generated/api";
import { clockTime } from "../../kit/format";
import { assign, setTopic, snooze, transfer } from "../state/actions";
import { selected } from "../state/list";
import { agentId, me } from "../state/session";
import { agents, queues } from "../state/views";
import { language, say } from "../strings/say";
import { type Choice, Picker } from "./picker";
import { fieldTime, readFieldTime, snoozeTimes } from "./snooze_times";
import { TOPICS, topicId } from "./topics";

interface MenuProps {
  ids: readonly string[];
  close: () => void;
}

const NOBODY = "nobody";

export function AssignMenu({ ids, conversation, close }: MenuProps & { conversation: ConversationView }) {
  const mine = agentId.value;
  const everybody = agents.value.filter((agent) => agent.id !== mine);
  const choices: Choice[] = everybody.map((agent) => ({
    id: agent.id,
    title: agent.name,
    detail: agent.languages.join(" "),
    icon: "person",
  }));
  if (mine) choices.unshift({ id: mine, title: me.value?.agent?.name ?? "", detail: say("panel.you"), icon: "person" });
  const nobody: Choice = { id: NOBODY, title: say("panel.nobody"), icon: "close" };
  const current = selected.value.size ? null : (conversation.assignee?.id ?? NOBODY);
  const others = [...choices, nobody].filter((choice) => choice.id !== current);
  const choose = (id: string) => {
    const agent = choices.find((choice) => choice.id === id);
    assign(ids, agent ? { id, name: agent.title } : null);
  };
  return (
    <Picker label={say("panel.assign_hint")} choices={others} choose={choose} close={close}>
      <ForSelected />
    </Picker>
  );
}

export function TransferMenu({ ids, queue, close }: MenuProps & { queue: string }) {
  const choices: Choice[] = queues.value
    .filter((one) => one !== queue || selected.value.size > 0)
    .map((one) => ({ id: one, title: one, icon: "queue" }));
  return (
    <Picker label={say("panel.transfer_hint")} choices={choices} choose={(id) => transfer(ids, id)} close={close}>
      <ForSelected />
    </Picker>
  );
}

export function SnoozeMenu({ ids, close }: MenuProps) {
  const times = snoozeTimes(new Date());
  const words = {
    hours: say("panel.until_hours"),
    evening: say("panel.until_tonight"),
    tomorrow: say("panel.until_tomorrow"),
    monday: say("panel.until_monday"),
  };
  const choices: Choice[] = times.map(({ id, at }) => ({ id, title: words[id], detail: clockTime(at.toISOString(), language.value), icon: "snooze" }));
  const choose = (id: string) => {
    const time = times.find((one) => one.id === id);
    if (time) snooze(ids, time.at);
  };
  return (
    <Picker label={say("panel.snooze_hint")} choices={choices} choose={choose} close={close}>
      <OwnTime ids={ids} close={close} />
      <ForSelected />
    </Picker>
  );
}

function OwnTime({ ids, close }: MenuProps) {
  const text = useSignal("");
  const isPast = useSignal(false);
  const submit = (event: Event) => {
    event.preventDefault();
    const at = readFieldTime(text.value, new Date());
    isPast.value = at === null;
    if (!at) return;
    close();
    snooze(ids, at);
  };
  return (
    <form class="own_time" onSubmit={submit}>
      <label>
        <span class="label">{say("panel.until")}</span>
        <input
          class="field"
          type="datetime-local"
          required
          min={fieldTime(new Date())}
          value={text.value}
          onInput={(event) => (text.value = event.currentTarget.value)}
        />
      </label>
      <button class="button">{say("panel.until_set")}</button>
      {isPast.value && <p class="error" role="alert">{say("panel.until_past")}</p>}
    </form>
  );
}

export function TopicMenu({ conversation, close }: { conversation: ConversationView; close: () => void }) {
  const choices: Choice[] = TOPICS.filter((topic) => topic !== conversation.topic).map((topic) => ({ id: topic, title: topic }));
  if (conversation.topic) choices.push({ id: "", title: say("panel.no_topic"), icon: "close" });
  const typed = (text: string) => {
    const id = topicId(text);
    return id ? { id, title: say("panel.other_topic", { topic: id }) } : null;
  };
  return (
    <Picker
      label={say("panel.topic_hint")}
      choices={choices}
      choose={(id) => setTopic(conversation.id, id || null)}
      close={close}
      typed={typed}
    />
  );
}

/** Says that a list is about more than the conversation that it stands over. */
function ForSelected() {
  const count = selected.value.size;
  return count ? <p class="second for_selected">{say("panel.for_selected", { count })}</p> : null;
}
