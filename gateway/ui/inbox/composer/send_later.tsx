// When an answer goes out, if not now.

import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { Icon } from "../../kit/icons";
import { nextMorning } from "./times";
import { say } from "../strings/say";

const HOUR = 3_600_000;
const MONDAY = 1;

export function SendLater({ choose }: { choose: (at: Date) => void }) {
  const own = useSignal("");
  const box = useRef<HTMLDetailsElement>(null);
  const pick = (at: Date) => {
    choose(at);
    if (box.current) box.current.open = false;
  };
  const now = new Date();
  const usual: readonly [string, Date][] = [
    [say("composer.in_an_hour"), new Date(now.getTime() + HOUR)],
    [say("composer.tomorrow"), nextMorning(now, null)],
    [say("composer.monday"), nextMorning(now, MONDAY)],
  ];
  return (
    <details class="later" ref={box}>
      <summary class="button quiet">
        <Icon name="clock" label={say("composer.later")} />
      </summary>
      <div class="times">
        {usual.map(([title, at]) => (
          <button key={title} type="button" class="button quiet" onClick={() => pick(at)}>{title}</button>
        ))}
        <label>
          <span class="label">{say("composer.at")}</span>
          <input class="field" type="datetime-local" value={own.value} onInput={(event) => (own.value = event.currentTarget.value)} />
        </label>
        <button type="button" class="button" disabled={!own.value || new Date(own.value) <= now} onClick={() => pick(new Date(own.value))}>
          {say("composer.later")}
        </button>
      </div>
    </details>
  );
}
