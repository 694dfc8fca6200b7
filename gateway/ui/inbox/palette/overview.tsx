// All shortcuts, made from the commands that are registered: what is not here does not exist.

import { type Command, commands } from "../state/commands";
import { say } from "../strings/say";
import { KeyCaps } from "./keycaps";

const GROUPS: readonly Command["group"][] = ["conversation", "reply", "go", "other"];

export function Overview() {
  return (
    <div class="overview" tabIndex={0} autofocus>
      <h1>{say("palette.shortcuts")}</h1>
      {GROUPS.map((group) => (
        <Group key={group} group={group} />
      ))}
    </div>
  );
}

function Group({ group }: { group: Command["group"] }) {
  const shown = commands.value.filter((command) => command.group === group && command.keys?.length);
  if (!shown.length) return null;
  return (
    <section>
      <h2>{say(`palette.${group}`)}</h2>
      <dl>
        {shown.map((command) => (
          <div key={command.id}>
            <dt>{command.title()}</dt>
            <dd>
              <span class="unseen">{command.keys?.join(", ")}</span>
              {command.keys?.map((keys) => (
                <KeyCaps key={keys} keys={keys} />
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
