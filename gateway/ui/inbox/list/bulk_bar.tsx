// What can be done with all selected conversations at once.

import { assign, resolve, snooze, transfer } from "../state/actions";
import { selected } from "../state/list";
import { agentId, me } from "../state/session";
import { agents, queues } from "../state/views";
import { say } from "../strings/say";

const HOURS = 3;

export function BulkBar() {
  const ids = [...selected.value];
  const toAgent = (id: string) => {
    const agent = agents.value.find((one) => one.id === id);
    assign(ids, agent ? { id: agent.id, name: agent.name } : null);
  };
  return (
    <div class="bulk" role="toolbar" aria-label={say("list.selected", { count: ids.length })}>
      <span>{say("list.selected", { count: ids.length })}</span>
      <button class="button" onClick={() => agentId.value && assign(ids, { id: agentId.value, name: me.value?.agent?.name ?? "" })}>
        {say("panel.assign_me")}
      </button>
      <Choice label={say("panel.assign")} items={[["", say("panel.nobody")], ...agents.value.map((one) => [one.id, one.name] as const)]} choose={toAgent} />
      <Choice label={say("panel.transfer")} items={queues.value.map((one) => [one, one] as const)} choose={(queue) => transfer(ids, queue)} />
      <button class="button" onClick={() => snooze(ids, new Date(Date.now() + HOURS * 3_600_000))}>{say("panel.until_evening")}</button>
      <button class="button" onClick={() => resolve(ids)}>{say("panel.resolve")}</button>
      <button class="button quiet" onClick={() => (selected.value = new Set())}>{say("list.select_none")}</button>
    </div>
  );
}

function Choice({ label, items, choose }: { label: string; items: readonly (readonly [string, string])[]; choose: (value: string) => void }) {
  return (
    <select
      class="field"
      aria-label={label}
      value="-"
      onChange={(event) => {
        choose(event.currentTarget.value);
        event.currentTarget.value = "-";
      }}
    >
      <option value="-" disabled>{label}</option>
      {items.map(([value, text]) => (
        <option key={value} value={value}>{text}</option>
      ))}
    </select>
  );
}
