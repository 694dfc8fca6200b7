// The first column: views and queues, with how much waits in each.

import type { CountView } from "../../generated/api";
import { VIEWS, type ViewId, go, place } from "../state/place";
import { counts, queues } from "../state/views";
import { language, say } from "../strings/say";

export function Views() {
  return (
    <div class="views">
      <ul>
        {VIEWS.map((view) => (
          <View key={view} view={view} />
        ))}
      </ul>
      <h2 class="second">{say("list.queues")}</h2>
      <ul>
        {queues.value.map((queue) => (
          <Queue key={queue} queue={queue} />
        ))}
      </ul>
    </div>
  );
}

function View({ view }: { view: ViewId }) {
  const isHere = !place.value.queue && !place.value.q && place.value.view === view;
  const open = () => go({ view, queue: null, q: "", conversation: null });
  return <Line name={say(`list.${view}`)} count={counts.value.get(`view:${view}`)} isHere={isHere} open={open} />;
}

function Queue({ queue }: { queue: string }) {
  const open = () => go({ view: "all", queue, q: "", conversation: null });
  return <Line name={queue} count={counts.value.get(`queue:${queue}`)} isHere={place.value.queue === queue} open={open} />;
}

function Line({ name, count, isHere, open }: { name: string; count: CountView | undefined; isHere: boolean; open: () => void }) {
  return (
    <li>
      <button class="view" aria-current={isHere ? "page" : undefined} onClick={open}>
        <span class="name">{name}</span>
        {count && count.count > 0 && <span class="count">{countText(count, language.value)}</span>}
      </button>
    </li>
  );
}

/** Returns a bounded count as people read it: "12", or "99+". */
export function countText(count: Pick<CountView, "count" | "more">, language: string): string {
  const number = new Intl.NumberFormat(language).format(count.count);
  return count.more ? `${number}+` : number;
}
