"""Web chat as a channel: a message is sent by being stored."""

from channels.webchat.adapter import WebChatChannel
from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.delivery import MessageStatus
from gateway.domain.ids import new_id
from gateway.domain.message import OutboundMessage


async def test_sending_says_that_it_is_sent_and_needs_nobody() -> None:
    channel = WebChatChannel()
    message = OutboundMessage(
        id=new_id(),
        conversation_id=new_id(),
        channel=ChannelName.WEBCHAT,
        recipient=Address(kind=AddressKind.VISITOR, value=new_id()),
        recipient_name=None,
        text="Hello",
        html=None,
        subject=None,
        author_name="Ben",
        parts=channel.split("Hello"),
    )
    result = await channel.send(message, 0)
    assert (result.status, result.external_id) == (MessageStatus.SENT, None)
    assert channel.name is ChannelName.WEBCHAT
    assert channel.capabilities.is_local
    await channel.close()


def test_a_text_is_never_split() -> None:
    text = "words " * 10_000
    assert WebChatChannel().split(text) == (text,)
