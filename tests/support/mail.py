"""Mails and mailboxes for tests."""

import ssl
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage, Message
from email.parser import BytesParser
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from channels.email.mailbox import Mailbox
from channels.email.wire import parse_mail
from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.ids import new_id
from gateway.domain.message import InboundMessage, OutboundMessage, RawInbound, Source

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MAILBOX = Mailbox(
    address="service@shop.example",
    sender_name="Clean Shop",
    reply_secret=b"a secret of the tests",
    authserv_id="mx.shop.example",
    trusted_relays=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")),
)
HEADER = b"From: Ana Lima <ana@customer.example>\r\nTo: service@shop.example\r\nSubject: Hello\r\n"


def raw_mail(body: bytes, **meta: str) -> RawInbound:
    return RawInbound(source=Source.EMAIL, received_at=NOW, body=body, meta=meta)


def parse(body: bytes, **meta: str) -> InboundMessage:
    return parse_mail(raw_mail(body, **meta), MAILBOX)


def plain_mail(body: str | bytes, *fields: str) -> InboundMessage:
    header = HEADER + "".join(f"{field}\r\n" for field in fields).encode()
    return parse(header + b"\r\n" + (body.encode() if isinstance(body, str) else body))


def multipart(kind: str, *parts: str, fields: tuple[str, ...] = ()) -> InboundMessage:
    body = "".join(f"--b\r\n{part}\r\n" for part in parts) + "--b--\r\n"
    return plain_mail("preamble\r\n" + body + "epilogue", f"Content-Type: multipart/{kind}; boundary=b", *fields)


def outbound(text: str = "Hello", **changes: Any) -> OutboundMessage:
    message = OutboundMessage(
        id=new_id(),
        conversation_id=new_id(),
        channel=ChannelName.EMAIL,
        recipient=Address(kind=AddressKind.EMAIL, value="ana@customer.example"),
        recipient_name="Ana Lima",
        text=text,
        html=None,
        subject="Re: Hello",
        author_name="Ben",
        parts=(text,),
    )
    return replace(message, **changes)


def read_built(content: bytes) -> EmailMessage:
    """Read a mail with the strictest parser at hand, which must find nothing to complain about."""
    message = BytesParser(policy=policy.default).parsebytes(content)
    assert isinstance(message, EmailMessage)
    for part in message.walk():
        assert part.defects == []
        for value in part.values():
            assert getattr(value, "defects", ()) == ()
    return message


def write_certificate(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """Return the files of a self-signed certificate for `name`, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


def server_context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write_certificate(folder))
    return context


def trusting_context(folder: Path) -> ssl.SSLContext:
    """A client's context that trusts the certificate in `folder` and no other."""
    return ssl.create_default_context(cafile=str(folder / "certificate.pem"))


def fields_of(message: Message) -> Mapping[str, str]:
    return {name.lower(): str(value) for name, value in message.items()}
