// `/sandbox`: be a customer of the invented shop, on every channel at once.

import { render } from "preact";
import { PLACE_WORDS, SWITCH_WORDS } from "./strings";
import { Mailbox, Phone, ShopPage } from "./devices";
import { become, customerId, loadSandbox, loadThread, sandbox, switches, trouble, turn } from "./state";

const LOOK_EVERY_MS = 700;

function Sandbox() {
  if (!sandbox.value) return <p class="empty second" role="status">{trouble.value ?? "Opening the shop"}</p>;
  return (
    <>
      <header class="head">
        <h1>{sandbox.value.shop}, from the customer's side</h1>
        <label class="who">
          <span class="second">You are</span>
          <select class="field" value={customerId.value} onChange={(event) => become(event.currentTarget.value)}>
            {sandbox.value.customers.map((one) => (
              <option key={one.id} value={one.id}>
                {one.name} ({one.language})
              </option>
            ))}
          </select>
        </label>
        <a href="/" target="_blank" rel="noopener">Open the agents' inbox in another window</a>
      </header>
      <p class="trouble error" role="status">{trouble.value}</p>
      <main class="devices">
        <Phone />
        <Mailbox />
        <ShopPage key={customerId.value} />
      </main>
      <Switches />
    </>
  );
}

function Switches() {
  const places = [...new Set(switches.value.map((one) => one.place))];
  return (
    <details class="switches">
      <summary>What can go wrong{switches.value.some((one) => one.is_on) && ": something is on"}</summary>
      <div class="places">
        {places.map((place) => (
          <fieldset key={place}>
            <legend>{PLACE_WORDS[place] ?? place}</legend>
            {switches.value.filter((one) => one.place === place).map((one) => (
              <label key={one.id} class="switch">
                <input type="checkbox" checked={one.is_on} onChange={(event) => void turn(one.id, event.currentTarget.checked)} />
                {SWITCH_WORDS[one.id] ?? one.id}
              </label>
            ))}
          </fieldset>
        ))}
      </div>
    </details>
  );
}

async function watch(): Promise<void> {
  if (!document.hidden) {
    if (!sandbox.value) await loadSandbox();
    await loadThread();
  }
  setTimeout(() => void watch(), LOOK_EVERY_MS);
}

const place = document.getElementById("app");
if (place) render(<Sandbox />, place);
void watch();
