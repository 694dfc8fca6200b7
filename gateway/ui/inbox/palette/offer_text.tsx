// What an offer is called: a command by its title, a person by their name, an order by its number.

import type { ConversationView } from "../../generated/api";
import { age } from "../../kit/format";
import { plainWords, titleOf } from "../panel/view_model";
import type { FoundContact, FoundOrder } from "../state/search";
import { language, say } from "../strings/say";
import type { Offer } from "./sections";

export function OfferText({ offer }: { offer: Offer }) {
  switch (offer.kind) {
    case "command":
      return <span class="words">{offer.command.title()}</span>;
    case "conversation":
      return <ConversationText conversation={offer.conversation} />;
    case "contact":
      return <ContactText contact={offer.contact} />;
    case "order":
      return <OrderText order={offer.order} />;
  }
}

export function ConversationText({ conversation }: { conversation: ConversationView }) {
  return (
    <>
      <span class="words">
        <bdi>{conversation.contact.name ?? say("list.someone")}</bdi>{" "}
        <bdi class="second" lang={conversation.language ?? undefined}>{conversation.subject ?? conversation.preview}</bdi>
      </span>
      <span class="second aside">{age(conversation.last_message_at, Date.now(), language.value)}</span>
    </>
  );
}

export function ContactText({ contact }: { contact: FoundContact }) {
  const title = titleOf(contact);
  const addresses = contact.addresses.filter((address) => address.value !== title && !["visitor", "customer"].includes(address.kind));
  return (
    <span class="words">
      <bdi>{title ?? say("list.someone")}</bdi>{" "}
      <span class="second">
        {addresses.slice(0, 2).map((address) => (
          <bdi key={address.value}>{address.value} </bdi>
        ))}
      </span>
    </span>
  );
}

export function OrderText({ order }: { order: FoundOrder }) {
  return (
    <>
      <span class="words">
        <bdi>{order.number}</bdi> <bdi class="second">{order.contact_name}</bdi>
      </span>
      <span class="second aside">{plainWords(order.status)}</span>
    </>
  );
}
