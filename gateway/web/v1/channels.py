"""What may be said where: the composer asks before the agent has typed a word."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from gateway.domain.contact import AddressKind, ChannelName
from gateway.services.allowances import Allowance, list_allowances
from gateway.web.permissions import Action
from gateway.web.routes import Call, Route


class AllowedAddress(msgspec.Struct):
    id: str
    kind: AddressKind
    value: str


class AllowanceView(msgspec.Struct):
    """`max_characters` null: no limit that a person meets. `reason`: why nothing may be sent, in plain words."""

    channel: ChannelName
    address: AllowedAddress | None
    is_default: bool
    can_send: bool
    reason: str | None
    window_ends_at: datetime | None
    has_subject: bool
    counts_segments: bool
    max_characters: int | None
    max_files: int
    max_file_bytes: int


class AllowanceList(msgspec.Struct):
    items: Sequence[AllowanceView]


async def get_channels(call: Call[None, None]) -> AllowanceList:
    context = call.context
    return AllowanceList(
        items=[_view(one) for one in await list_allowances(context.db, call.id, context.limits, call.now)]
    )


def _view(allowance: Allowance) -> AllowanceView:
    address, limits = allowance.address, allowance.limits
    return AllowanceView(
        channel=allowance.channel,
        address=None if address is None else AllowedAddress(id=address.id, kind=address.kind, value=address.value),
        is_default=allowance.is_default,
        can_send=allowance.reason is None,
        reason=allowance.reason,
        window_ends_at=allowance.window_ends_at,
        has_subject=limits is not None and limits.has_subject,
        counts_segments=limits is not None and limits.counts_segments,
        max_characters=None if limits is None else limits.max_characters,
        max_files=0 if limits is None else limits.max_files,
        max_file_bytes=0 if limits is None else limits.max_file_bytes,
    )


ROUTES = (
    Route(
        "GET",
        "/v1/conversations/{id}/channels",
        Action.CONVERSATION_READ,
        get_channels,
        response=AllowanceList,
        summary="Say of each channel whether an answer may go out on it, where to, and how much fits",
    ),
)
