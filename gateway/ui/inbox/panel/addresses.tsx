// How a contact is reached, what proves each address, and what keeps us from writing to it.

import type { AddressView } from "../../generated/api";
import { Icon } from "../../kit/icons";
import { language, say } from "../strings/say";
import { shortDate } from "./dates";
import { Part } from "./panel";
import { type AddressLine, addressLines, plainWords } from "./view_model";

export function Addresses({ addresses }: { addresses: readonly AddressView[] }) {
  const lines = addressLines(addresses);
  const technical = lines.filter((line) => line.isTechnical);
  return (
    <Part title={say("panel.addresses")}>
      <ul class="addresses">
        {lines
          .filter((line) => !line.isTechnical)
          .map((line) => (
            <Line key={line.id} line={line} />
          ))}
      </ul>
      {technical.length > 0 && (
        <details>
          <summary class="second">{say("panel.technical", { count: technical.length })}</summary>
          <ul class="addresses">
            {technical.map((line) => (
              <Line key={line.id} line={line} />
            ))}
          </ul>
        </details>
      )}
    </Part>
  );
}

function Line({ line }: { line: AddressLine }) {
  const isVerified = line.proof === "verified";
  return (
    <li>
      <Icon name={line.icon} />
      <div>
        <p>
          <bdi class="value">{line.value}</bdi>{" "}
          <span class={`second proof ${line.proof}`}>
            <Icon name={isVerified ? "check" : "question"} /> {say(isVerified ? "panel.verified" : "panel.claimed")}
          </span>
        </p>
        {line.suppressed !== null && <p class="error small">{say("panel.suppressed", { reason: line.suppressed })}</p>}
        {line.undeliverable !== null && <p class="error small">{say("panel.undeliverable", { reason: line.undeliverable })}</p>}
        {line.consent.map((one) => (
          <p key={one.purpose} class="second">
            {say("panel.consent_line", {
              purpose: plainWords(one.purpose),
              state: plainWords(one.state),
              date: shortDate(one.at, language.value),
            })}
          </p>
        ))}
      </div>
    </li>
  );
}
