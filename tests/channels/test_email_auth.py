"""What proves who wrote a mail; everything else is a claim."""

from dataclasses import replace

import pytest

from channels.email.auth import is_aligned, parse_results
from channels.email.wire import parse_mail
from gateway.domain.contact import AddressKind
from gateway.domain.message import InboundMessage
from tests.support.mail import MAILBOX, raw_mail

OURS = "mx.shop.example"
FROM = "From: Ana <ana@customer.example>\r\n"


RELAY = "10.1.2.3"


def mail(*fields: str, sender: str = FROM, authserv_id: str = OURS, **meta: str) -> InboundMessage:
    header = "".join(f"{field}\r\n" for field in fields)
    raw = raw_mail(f"{header}{sender}Subject: x\r\n\r\nHello".encode(), **meta)
    return parse_mail(raw, replace(MAILBOX, authserv_id=authserv_id))


def is_proved(message: InboundMessage) -> bool:
    proved = message.sender.kind is AddressKind.EMAIL
    assert message.extra["auth"]["is_proved"] is proved
    assert message.extra["auth"]["reason"]
    assert proved or message.sender.kind is AddressKind.EMAIL_CLAIM
    return bool(proved)


def results(text: str, server: str = OURS) -> str:
    return f"Authentication-Results: {server}; {text}"


PASS = "dmarc=pass header.from=customer.example"


@pytest.mark.parametrize(
    "field",
    [
        results(PASS),
        results("dmarc=pass (p=reject dis=none) header.from=customer.example"),
        results("spf=pass smtp.mailfrom=customer.example; dkim=fail;\r\n DMARC=PASS header.from=Customer.Example"),
        f"Authentication-Results: {OURS} 1; {PASS}",
        results(f'spf=none (he said ") ; {PASS}'),
        f"Authentication-Results: (a comment; dmarc=fail) {OURS} ; {PASS}",
    ],
)
def test_a_pass_of_our_own_server_proves_the_sender(field: str) -> None:
    assert is_proved(mail(field, peer=RELAY))


@pytest.mark.parametrize("peer", ["203.0.113.9", "", "127.0.0.1"])
def test_a_field_in_our_servers_name_that_a_stranger_brings_proves_nothing(peer: str) -> None:
    assert not is_proved(mail(results(PASS), peer=peer, mail_from="ana@customer.example"))


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [results(PASS, "mx.evil.example")],
        [results("dmarc=pass header.from=evil.example")],
        [results("dmarc=pass")],
        [results("dmarc=none header.from=customer.example")],
        [results("spf=pass smtp.mailfrom=ana@customer.example; dkim=pass header.d=customer.example")],
        # What a stranger can put into a comment, a quoted string or a property says nothing.
        [results("spf=fail (x; dmarc=pass header.from=customer.example)")],
        [results('spf=fail smtp.mailfrom="; dmarc=pass header.from=customer.example"')],
        [results("spf=fail (x \\); dmarc=pass header.from=customer.example)")],
        [
            results(
                'spf=fail (" (x) dmarc=pass header.from=customer.example) "; dmarc=pass header.from=customer.example)'
            )
        ],
        [results("dmarc=none header.from=evil.example header.from=customer.example")],
        # Our server's own field stands on top; a forged one with its name below it does not count.
        [results("dmarc=none header.from=customer.example"), results(PASS)],
        [results(PASS), results("dmarc=fail header.from=customer.example", "relay.example")],
        [results(f"{PASS}; dmarc=pass header.from=evil.example")],
        [results(f"{PASS}; dmarc=fail header.from=customer.example")],
    ],
)
def test_anything_less_is_a_claim(fields: list[str]) -> None:
    assert not is_proved(mail(*fields, peer=RELAY, mail_from="ana@customer.example"))


@pytest.mark.parametrize(
    "sender",
    [
        FROM + "From: eve@evil.example\r\n",
        "From: ana@customer.example, eve@evil.example\r\n",
        "From: ana@customer.example (<eve@evil.example>\r\n",
        "From: <eve@evil.example> <ana@customer.example>\r\n",
        "From: eve@evil.example ana@customer.example\r\n",
        "From: friends: ana@customer.example;\r\n",
    ],
)
def test_a_from_that_can_be_read_twice_proves_nobody(sender: str) -> None:
    assert not is_proved(mail(results(PASS), sender=sender, peer="10.0.0.1", mail_from="ana@customer.example"))


@pytest.mark.parametrize("peer", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1"])
@pytest.mark.parametrize("mail_from", ["ana@customer.example", "bounce-7@Mail.customer.example"])
def test_a_trusted_relay_proves_its_envelope_domain(peer: str, mail_from: str) -> None:
    assert is_proved(mail(authserv_id="", peer=peer, mail_from=mail_from))


@pytest.mark.parametrize(
    ("peer", "mail_from"),
    [
        ("192.0.2.1", "ana@customer.example"),
        ("", "ana@customer.example"),
        ("nonsense", "ana@customer.example"),
        ("10.1.2.3", ""),
        ("10.1.2.3", "eve@evil.example"),
        ("10.1.2.3", "eve@evilcustomer.example"),
        ("10.1.2.3", "eve@customer.example.evil.example"),
        ("10.1.2.3", "eve@example"),
    ],
)
def test_a_relay_proves_no_more_than_that(peer: str, mail_from: str) -> None:
    assert not is_proved(mail(authserv_id="", peer=peer, mail_from=mail_from))


def test_an_edge_that_knows_its_relay_says_so() -> None:
    assert is_proved(mail(authserv_id="", mail_from="ana@customer.example", verified="relay"))
    assert not is_proved(mail(authserv_id="", mail_from="ana@customer.example", verified=""))


def test_a_failure_anywhere_overrules_the_relay() -> None:
    failed = results("dmarc=fail header.from=customer.example", "elsewhere.example")
    assert not is_proved(mail(failed, authserv_id="", peer="10.1.2.3", mail_from="ana@customer.example"))


def test_a_parent_domain_does_not_speak_for_what_is_below_it() -> None:
    assert is_aligned("news.bank.co.uk", "bank.co.uk")
    assert not is_aligned("co.uk", "bank.co.uk")
    assert not is_aligned("bank.uk", "uk")


def test_without_a_name_of_our_own_no_results_count() -> None:
    assert parse_results("").authserv_id == ""
    assert not is_proved(mail(f"Authentication-Results: ; {PASS}", authserv_id="", peer=RELAY))
