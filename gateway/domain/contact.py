"""People and how a channel reaches them."""

from dataclasses import dataclass
from enum import StrEnum


class ChannelName(StrEnum):
    EMAIL = "email"
    SMS = "sms"
    WHATSAPP = "whatsapp"
    WEBCHAT = "webchat"


class AddressKind(StrEnum):
    EMAIL = "email"  # a mailbox whose owner was proved (DMARC, the shop's word)
    EMAIL_CLAIM = "email_claim"  # a mailbox that a From names without proof; never used to find anyone else
    PHONE = "phone"  # E.164
    WHATSAPP = "whatsapp"  # E.164, or a business-scoped user id where there is no phone number
    VISITOR = "visitor"  # one browser of the web chat
    CUSTOMER = "customer"  # the shop's own customer id


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """How one channel reaches one person; never rewritten once it stands."""

    kind: AddressKind
    value: str


# Which kinds of address a channel can write to, best first.
CHANNEL_ADDRESSES: dict[ChannelName, tuple[AddressKind, ...]] = {
    ChannelName.EMAIL: (AddressKind.EMAIL, AddressKind.EMAIL_CLAIM),
    ChannelName.SMS: (AddressKind.PHONE,),
    ChannelName.WHATSAPP: (AddressKind.WHATSAPP,),
    ChannelName.WEBCHAT: (AddressKind.VISITOR,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerIdentity:
    """What the shop signed about a chat visitor; `customer_id` alone proves the customer."""

    customer_id: str
    name: str | None = None
    language: str | None = None  # BCP 47
    email: str | None = None  # set only when the shop verified it
    phone: str | None = None  # E.164; set only when the shop verified it
