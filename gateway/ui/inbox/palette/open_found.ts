// Where a thing that was found leads to.

import type { ContactCardView } from "../../generated/api";
import { get } from "../../kit/api";
import { isPanelShown } from "../shell/preferences";
import { explain, tell } from "../state/actions";
import { lookedUp } from "../state/contact";
import { open } from "../state/open";
import { go } from "../state/place";
import { say } from "../strings/say";
import { rememberCommand, showing } from "./showing";
import type { Offer } from "./sections";

/** Opens the contact's last conversation with the panel beside it; a contact without one is shown in the panel. */
export async function openContact(id: string): Promise<void> {
  try {
    const card = await get<ContactCardView>(`/v1/contacts/${id}`);
    const [last] = [...card.conversations].sort((one, other) => other.last_message_at.localeCompare(one.last_message_at));
    isPanelShown.value = true;
    if (last) go({ conversation: last.id });
    else if (open.value) lookedUp.value = id;
    else tell({ text: say("panel.never_wrote") });
  } catch (error) {
    tell({ text: explain(error), isError: true });
  }
}

/** Does what an offer of the palette stands for. */
export function take(offer: Offer): void {
  showing.value = null;
  switch (offer.kind) {
    case "command":
      rememberCommand(offer.command.id);
      offer.command.run();
      break;
    case "conversation":
      go({ conversation: offer.conversation.id });
      break;
    case "contact":
      void openContact(offer.contact.id);
      break;
    case "order":
      void openContact(offer.order.contact_id);
  }
}
