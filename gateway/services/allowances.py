"""What each channel would allow in a conversation now: where it would go, whether it may, and how much fits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.domain.contact import CHANNEL_ADDRESSES, AddressKind, ChannelName
from storage.contacts import ContactAddress, load_contact
from storage.conversations import load_conversation
from storage.database import Database

# WhatsApp, "Send messages", 2026-11: free words within 24 hours of the customer's last message, templates after.
WHATSAPP_WINDOW = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLimits:
    """What the channel itself can carry, as the composition root knows it from the adapters."""

    has_subject: bool
    counts_segments: bool
    max_characters: int | None
    max_files: int
    max_file_bytes: int


Limits = Callable[[ChannelName], ChannelLimits | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """`reason` says in plain words why nothing may be sent; None where it may."""

    channel: ChannelName
    address: ContactAddress | None
    is_default: bool
    reason: str | None
    window_ends_at: datetime | None
    limits: ChannelLimits | None


async def list_allowances(db: Database, conversation_id: str, limits: Limits, now: datetime) -> list[Allowance]:
    """Return all channels in their usual order.

    Raises:
        NotFound: there is no such conversation.
    """
    async with db.read() as conn:
        conversation = await load_conversation(conn, conversation_id)
        contact = await load_contact(conn, conversation.contact.id)
    found = []
    for channel in ChannelName:
        address = _address(contact.addresses, channel)
        window = _window_end(address) if channel is ChannelName.WHATSAPP else None
        found.append(
            Allowance(
                channel=channel,
                address=address,
                is_default=channel is conversation.channel,
                reason=_reason(channel, address, limits(channel), window, now),
                window_ends_at=window,
                limits=limits(channel),
            )
        )
    return found


def _address(addresses: Sequence[ContactAddress], channel: ChannelName) -> ContactAddress | None:
    kinds = CHANNEL_ADDRESSES[channel]
    fitting = [address for address in addresses if address.kind in kinds]
    # As a reply chooses: those that may be written to first, then proven before claimed, then the last used.
    fitting.sort(
        key=lambda address: address.last_inbound_at.timestamp() if address.last_inbound_at else 0, reverse=True
    )
    fitting.sort(key=lambda address: (address.suppressed_at is not None, address.kind is AddressKind.EMAIL_CLAIM))
    return fitting[0] if fitting else None


def _window_end(address: ContactAddress | None) -> datetime | None:
    if address is None or address.last_inbound_at is None:
        return None
    return address.last_inbound_at + WHATSAPP_WINDOW


def _reason(
    channel: ChannelName,
    address: ContactAddress | None,
    limits: ChannelLimits | None,
    window: datetime | None,
    now: datetime,
) -> str | None:
    if limits is None:
        return "This channel is not set up."
    if address is None:
        return "The contact has no address for it."
    if address.suppressed_at is not None:
        return f"Nothing may be sent there: {address.suppressed_reason or 'suppressed'}"
    if channel is ChannelName.WHATSAPP and (window is None or window <= now):
        return "The customer's last message there is over 24 hours old: WhatsApp takes no free words now."
    return None
