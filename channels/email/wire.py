"""A raw mail becomes an InboundMessage: pure, bounded, and never failing on odd input.

The structure is `mime`'s business, the words are `content`'s, who wrote it `auth`'s; here it all comes together.
"""

import hashlib
from ipaddress import IPv6Address, ip_address
from typing import Any

from channels.email.address import NamedMailbox, normalise_mailbox, parse_mailboxes
from channels.email.auth import SenderFacts, Verdict, prove_sender
from channels.email.content import read_content
from channels.email.header import Headers, decode_words, message_ids, one_line, read_headers
from channels.email.mailbox import Mailbox, read_reply_token
from channels.email.mime import Part, read_mail
from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.errors import ParseFailure
from gateway.domain.message import InboundMessage, RawInbound

_MAX_REFERENCES = 50
_MAX_SUBJECT = 1000  # characters
_MAX_LISTED = 50  # mailboxes of To and Cc
_LIST_FIELDS = ("list-id", "list-post", "list-unsubscribe", "precedence")
_ACTIONS = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})  # RFC 3464 2.3.3


def parse_mail(raw: RawInbound, mailbox: Mailbox) -> InboundMessage:
    """Read a mail as it came in: `body` is the message, `meta` the envelope.

    `meta`: `mail_from`; `rcpt_to`, with commas or line ends between; `peer`, the SMTP client's IP address; `verified`,
    `relay` where the edge itself knows that a trusted relay handed it over.

    Raises:
        ParseFailure: neither the mail nor its envelope says who wrote it.
    """
    mail = read_mail(raw.body)
    headers = mail.root.headers
    content = read_content(mail)
    author, verdict = _find_author(raw, headers, mailbox)
    own = _own_addresses(raw, headers, mailbox)
    message_id = next(iter(message_ids(headers.first("message-id"))), None)
    subject = one_line(decode_words(headers.first("subject")))[:_MAX_SUBJECT]
    return InboundMessage(
        channel=ChannelName.EMAIL,
        dedupe_key=_dedupe_key(raw.body),
        received_at=raw.received_at,
        sender=Address(kind=AddressKind.EMAIL if verdict.is_proved else AddressKind.EMAIL_CLAIM, value=author.address),
        sender_name=author.name,
        recipient=mailbox.address,
        text=content.text,
        html=content.html,
        subject=subject or None,
        external_id=message_id,
        references=_references(headers),
        reply_conversation_id=_reply_conversation(own, mailbox),
        attachments=tuple(content.attachments),
        cc=tuple(found.address for found in _mailboxes(headers, "cc") if not mailbox.is_own(found.address)),
        extra=_extra(mail.root, verdict, content.defects),
    )


def _find_author(raw: RawInbound, headers: Headers, mailbox: Mailbox) -> tuple[NamedMailbox, Verdict]:
    """Return who wrote it and whether that is proved; without a usable From it is whoever the envelope names."""
    fields = headers.raw("from")
    authors = tuple(found for value in fields for found in parse_mailboxes(value))
    if not authors:
        for value in (*headers.raw("sender"), raw.meta.get("mail_from", ""), *headers.raw("return-path")):
            found = parse_mailboxes(value)
            if found:
                return found[0], Verdict(is_proved=False, reason="The mail has no From; its envelope names the sender.")
        raise ParseFailure("The mail does not say who wrote it.")
    facts = SenderFacts(
        authors=authors,
        from_fields=len(fields),
        results=tuple(headers.raw("authentication-results")),
        mail_from=raw.meta.get("mail_from", ""),
        is_trusted_relay=raw.meta.get("verified") == "relay" or _is_trusted(raw.meta.get("peer", ""), mailbox),
    )
    return authors[0], prove_sender(facts, mailbox.authserv_id)


def _is_trusted(peer: str, mailbox: Mailbox) -> bool:
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return any(address.version == network.version and address in network for network in mailbox.trusted_relays)


def _mailboxes(headers: Headers, name: str) -> list[NamedMailbox]:
    return [found for value in headers.raw(name) for found in parse_mailboxes(value)][:_MAX_LISTED]


def _own_addresses(raw: RawInbound, headers: Headers, mailbox: Mailbox) -> list[str]:
    """Return the addresses of ours that it came to: the envelope's first, for a header may say anything."""
    envelope = raw.meta.get("rcpt_to", "").replace("\n", ",").split(",")
    named = [found for text in envelope if (found := normalise_mailbox(text))]
    for name in ("delivered-to", "x-original-to", "to", "cc"):
        named.extend(found.address for found in _mailboxes(headers, name))
    return [address for address in dict.fromkeys(named) if mailbox.is_own(address)]


def _reply_conversation(own: list[str], mailbox: Mailbox) -> str | None:
    for address in own:
        found = read_reply_token(mailbox.tag_of(address) or "", mailbox.reply_secret)
        if found is not None:
            return found
    return None


def _references(headers: Headers) -> tuple[str, ...]:
    """Return the ids of the thread, nearest last: References, then In-Reply-To where it adds one (RFC 5322 3.6.4)."""
    ids = [found for name in ("references", "in-reply-to") for found in message_ids(headers.first(name))]
    return tuple(reversed(list(dict.fromkeys(reversed(ids)))[:_MAX_REFERENCES]))


def _dedupe_key(source: bytes) -> str:
    """The same mail handed over again has other Received fields, and perhaps other line ends, but the same of these."""
    block = read_headers(source, 0, len(source), skips_blank=True)
    digest = hashlib.sha256()
    for name in ("message-id", "from", "date"):
        value = b" ".join(block.headers.bytes_of(name).split())
        digest.update(b"%d:%b" % (len(value), value))
    digest.update(source[block.body_start :].replace(b"\r\n", b"\n").rstrip(b"\n"))
    return f"email:{digest.hexdigest()}"


def _extra(root: Part, verdict: Verdict, defects: list[str]) -> dict[str, Any]:
    headers = root.headers
    extra: dict[str, Any] = {
        "auth": {"is_proved": verdict.is_proved, "reason": verdict.reason},
        "message_id": one_line(headers.first("message-id"))[:500],
        "date": one_line(headers.first("date"))[:100],
        "auto_submitted": one_line(headers.first("auto-submitted"))[:100],
        "list": {name: one_line(value)[:300] for name in _LIST_FIELDS if (value := headers.first(name))},
        "to": [found.address for found in _mailboxes(headers, "to")],
        "cc": [found.address for found in _mailboxes(headers, "cc")],
        "reply_to": [found.address for found in _mailboxes(headers, "reply-to")],
        "report": _read_report(root),
        "defects": list(dict.fromkeys(defects))[:20],
    }
    return {name: value for name, value in extra.items() if value}


def _read_report(root: Part) -> dict[str, str]:
    """Return what a delivery notification (RFC 3464) says of its first recipient, empty for any other mail."""
    if root.content_type != "multipart/report":
        return {}
    report: dict[str, str] = {}
    for part in root.children:
        if part.content_type == "message/delivery-status":
            report |= _read_status(part.content())
        elif part.content_type in {"message/rfc822", "text/rfc822-headers", "message/global"} and report:
            content = part.content()
            original = read_headers(content, 0, len(content)).headers
            report["message_id"] = next(iter(message_ids(original.first("message-id"))), "")
    return {name: value for name, value in report.items() if value}


def _read_status(content: bytes) -> dict[str, str]:
    position = 0
    while position < len(content):
        block = read_headers(content, position, len(content))
        action = one_line(block.headers.first("action")).lower()
        if action in _ACTIONS:
            recipient = block.headers.first("final-recipient") or block.headers.first("original-recipient")
            return {
                "action": action,
                "status": one_line(block.headers.first("status"))[:20],
                "recipient": normalise_mailbox(recipient.rpartition(";")[2]) or "",
            }
        if block.body_start <= position:
            break
        position = block.body_start
    return {}
