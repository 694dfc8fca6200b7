// What a search finds beside conversations: contacts and orders, as sections over the list.

import { useSignalEffect } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { Icon, type IconName } from "../../kit/icons";
import { place } from "../state/place";
import { startSearch } from "../state/search";
import { say } from "../strings/say";
import { ContactText, OrderText } from "./offer_text";
import { openContact } from "./open_found";

const MOST = 5;

/** Stands above the list while there is something in the search field; the list itself holds the conversations. */
export function Results() {
  const search = useMemo(() => startSearch(MOST), []);
  useEffect(() => search.stop, []);
  useSignalEffect(() => {
    search.query.value = place.value.q;
  });
  if (!place.value.q) return null;
  const { contacts, orders } = search.found.value;
  return (
    <div class="results" aria-busy={search.isSearching.value}>
      {contacts.length > 0 && (
        <Part id="contacts">
          {contacts.map((contact) => (
            <Line key={contact.id} icon="person" open={() => openContact(contact.id)}>
              <ContactText contact={contact} />
            </Line>
          ))}
        </Part>
      )}
      {orders.length > 0 && (
        <Part id="orders">
          {orders.map((order) => (
            <Line key={order.id} icon="order" open={() => openContact(order.contact_id)}>
              <OrderText order={order} />
            </Line>
          ))}
        </Part>
      )}
      {search.problem.value && <p class="error" role="status">{search.problem.value}</p>}
      <h2 class="second">{say("palette.conversations")}</h2>
    </div>
  );
}

function Part({ id, children }: { id: "contacts" | "orders"; children: ComponentChildren }) {
  return (
    <section aria-labelledby={`found-${id}`}>
      <h2 class="second" id={`found-${id}`}>{say(`palette.${id}`)}</h2>
      <ul>{children}</ul>
    </section>
  );
}

function Line({ icon, open, children }: { icon: IconName; open: () => Promise<void>; children: ComponentChildren }) {
  return (
    <li>
      <button class="offer" onClick={() => void open()}>
        <Icon name={icon} />
        {children}
      </button>
    </li>
  );
}
