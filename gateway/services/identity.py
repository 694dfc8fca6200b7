"""Who a chat visitor is, by the shop's word: a signed token (JWT, RFC 7519) checked, and joined to the customer.

`sub` alone proves the customer. An e-mail address or phone number joins the customer's contact only if the shop says
that it verified it, and if it is nobody else's; otherwise the conflict is written down for an agent to look at.
"""

import base64
import hashlib
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Literal

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from gateway.domain.contact import Address, AddressKind, CustomerIdentity
from gateway.domain.conversation import EventType
from gateway.domain.errors import Unauthenticated
from gateway.domain.ids import new_id
from gateway.domain.message import AuthorKind
from gateway.domain.phone import normalise_phone, variants
from gateway.services.merge import merge_contacts
from storage import chat, inbound
from storage.database import Transaction
from storage.events import Actor, NewEvent, append_events
from storage.inbound import KnownAddress, NewAddress

_ALGORITHM = "HS256"
_LEEWAY_S = 30  # between the shop's clock and ours
_MAX_TOKEN = 8192  # characters
_MAX_CLAIM = 255  # characters
_FAR = datetime(9999, 1, 1, tzinfo=UTC)  # about the last day that a database knows
_MAILBOX = re.compile(r"[^@\s]+@[^@\s]+")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")  # RFC 5646, loosely
_REASON = "The shop's signed identity."
# A contact that has nothing but these is somebody whom nobody knows yet.
_ANONYMOUS = frozenset({AddressKind.VISITOR, AddressKind.EMAIL_CLAIM})


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    """The only header there may be: the algorithm is ours to choose, and nothing in it is ours to follow."""

    alg: Literal["HS256"]
    typ: str | None = None
    cty: str | None = None
    kid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIdentity:
    identity: CustomerIdentity
    token_id: str  # `jti`
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityCheck:
    """Reads the shop's tokens: HS256 with the shared secret, and `sub, iat, exp, jti, aud` in each.

    Without an `audience` of our own any `aud` will do: the secret is made for this gateway and signs nothing else.
    """

    secret: str = field(repr=False)
    audience: str | None = None

    def verify(self, token: str, now: datetime) -> SignedIdentity:
        """Return whom `token` speaks of.

        Raises:
            Unauthenticated: it is none of the shop's, has expired, or is meant for somebody else.
        """
        if len(token) > _MAX_TOKEN:
            raise Unauthenticated("The identity is too long.")
        required = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=_LEEWAY_S,
            sub={"essential": True},
            iat={"essential": True},
            exp={"essential": True},
            jti={"essential": True},
            aud={"essential": True} if self.audience is None else {"essential": True, "value": self.audience},
        )
        try:
            _check_header(token)
            decoded = jwt.decode(token, OctKey.import_key(self.secret), algorithms=[_ALGORITHM])
            required.validate(decoded.claims)
        except (JoseError, ValueError, RecursionError) as error:
            # The words of such an error name a claim at most, never what stands in it; the cause is not for customers.
            raise Unauthenticated(
                "The identity is not one that the shop signed for this, or it has expired."
            ) from error
        return _read_claims(decoded.claims)


def _check_header(token: str) -> None:
    encoded = token.partition(".")[0]
    msgspec.json.decode(base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_"), type=_Header)


def _read_claims(claims: jwt.Claims) -> SignedIdentity:
    customer_id, token_id = _text(claims, "sub"), _text(claims, "jti")
    if customer_id is None or token_id is None:
        raise Unauthenticated("The identity's `sub` or `jti` is not a plain text.")
    email = _text(claims, "email") if claims.get("email_verified") is True else None
    phone = _text(claims, "phone") if claims.get("phone_verified") is True else None
    language = _text(claims, "language")
    return SignedIdentity(
        token_id=token_id,
        expires_at=_expiry(claims["exp"]),
        identity=CustomerIdentity(
            customer_id=customer_id,
            name=_text(claims, "name"),
            language=language if language and len(language) <= 35 and _LANGUAGE.fullmatch(language) else None,
            email=email.lower() if email and _MAILBOX.fullmatch(email) else None,
            phone=normalise_phone(phone) if phone else None,
        ),
    )


def _expiry(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC) if seconds < _FAR.timestamp() else _FAR


def _text(claims: jwt.Claims, name: str) -> str | None:
    value = claims.get(name)
    if not isinstance(value, str):
        return None
    value = value.strip()
    return value if 0 < len(value) <= _MAX_CLAIM and value.isprintable() else None


async def identify_visitor(tx: Transaction, visitor: str, signed: SignedIdentity, now: datetime, *, spare: str) -> str:
    """Join a visitor to the customer whom the shop signed for; return the visitor that is theirs.

    That is `spare`, a new one, where the visitor's chat is somebody else's: a customer who logs in on a browser that
    another one used sees nothing of that other's chat, and nobody is merged with anybody.

    Raises:
        Unauthenticated: the token was shown by another visitor before.
    """
    identity = signed.identity
    known = {row.address: row for row in await inbound.lock_addresses(tx, _values(visitor, identity))}
    customer = known.get(Address(kind=AddressKind.CUSTOMER, value=identity.customer_id))
    mine = known.get(Address(kind=AddressKind.VISITOR, value=visitor))
    standing = _Standing.FREE if mine is None else await _stand(tx, mine, customer)
    conflicts = [mine] if mine is not None and standing is _Standing.DISPUTED else []
    if standing is not _Standing.FREE:
        visitor, mine = spare, None
    await _claim_token(tx, signed, visitor, now)
    if customer is not None and mine is not None and customer.contact_id != mine.contact_id:
        actor = Actor(kind=AuthorKind.CUSTOMER, id=customer.contact_id)
        await merge_contacts(
            tx, into_id=customer.contact_id, from_id=mine.contact_id, actor=actor, reason=_REASON, now=now
        )
    owner = customer or mine
    if owner is not None:
        contact_id = owner.contact_id
    else:
        contact_id = await chat.insert_visitor_contact(tx, identity.name, identity.language, now)
    await _join(tx, contact_id, visitor, mine, customer, identity, now)
    await _join_reachable(tx, contact_id, identity, list(known.values()), conflicts, now)
    return visitor


class _Standing(Enum):
    """Whose the visitor's chat is, seen from the customer who shows an identity."""

    FREE = auto()  # theirs, or nobody's whom we know
    TAKEN = auto()  # another customer's
    DISPUTED = auto()  # somebody's whom we know by other proof: the same person perhaps, for an agent to say


async def _stand(tx: Transaction, mine: KnownAddress, customer: KnownAddress | None) -> _Standing:
    if customer is not None and customer.contact_id == mine.contact_id:
        return _Standing.FREE
    kinds = await chat.list_kinds(tx, mine.contact_id)
    if AddressKind.CUSTOMER in kinds:
        return _Standing.TAKEN
    return _Standing.FREE if customer is None or kinds <= _ANONYMOUS else _Standing.DISPUTED


def _values(visitor: str, identity: CustomerIdentity) -> set[str]:
    values = {visitor, identity.customer_id}
    if identity.email:
        values.add(identity.email)
    if identity.phone:
        values.update(variants(identity.phone))
    return values


async def _claim_token(tx: Transaction, signed: SignedIdentity, visitor: str, now: datetime) -> None:
    # A token that was overheard is worth nothing in another browser; in its own it may be shown at every reconnect.
    # The key stands among those of inbound messages and is swept with them, but only once the token is worthless.
    key = f"jwt:{hashlib.sha256(signed.token_id.encode()).hexdigest()}"
    if await chat.claim_key(tx, key, visitor, max(now, signed.expires_at)) != visitor:
        raise Unauthenticated("This identity was shown in another browser before.")


async def _join(
    tx: Transaction,
    contact_id: str,
    visitor: str,
    mine: KnownAddress | None,
    customer: KnownAddress | None,
    identity: CustomerIdentity,
    now: datetime,
) -> None:
    """Write down what the token proved by itself: the customer id, and that this visitor showed it."""
    visitor_id = mine.id if mine else new_id()
    new = []
    if mine is None:
        new.append(_address(visitor_id, contact_id, AddressKind.VISITOR, visitor, now))
    if customer is None:
        new.append(_address(new_id(), contact_id, AddressKind.CUSTOMER, identity.customer_id, now))
    if new:
        await inbound.insert_addresses(tx, new, now)
    await chat.mark_identified(tx, visitor_id, now)
    facts = await chat.lock_facts(tx, contact_id)
    filled = replace(facts, name=facts.name or identity.name, language=facts.language or identity.language)
    if filled != facts:
        await chat.save_facts(tx, contact_id, filled)


def _address(id_: str, contact_id: str, kind: AddressKind, value: str, now: datetime) -> NewAddress:
    return NewAddress(
        id=id_,
        contact_id=contact_id,
        address=Address(kind=kind, value=value),
        display_name=None,
        verified_at=now,
    )


async def _join_reachable(
    tx: Transaction,
    contact_id: str,
    identity: CustomerIdentity,
    known: list[KnownAddress],
    conflicts: list[KnownAddress],
    now: datetime,
) -> None:
    """Add the verified e-mail address and phone number, unless somebody else has them."""
    added: list[NewAddress] = []
    wanted = []
    if identity.email:
        wanted.append((AddressKind.EMAIL, identity.email, {AddressKind.EMAIL}))
    if identity.phone:
        wanted.append((AddressKind.PHONE, identity.phone, {AddressKind.PHONE, AddressKind.WHATSAPP}))
    for kind, value, kinds in wanted:
        aliases = variants(value) if kind is AddressKind.PHONE else (value,)
        taken = [row for row in known if row.address.kind in kinds and row.address.value in aliases]
        if foreign := [row for row in taken if row.contact_id != contact_id]:
            conflicts = conflicts + foreign
        elif exact := [row for row in taken if row.address == Address(kind=kind, value=value)]:
            await chat.mark_verified(tx, exact[0].id, now)
        else:
            added.append(_address(new_id(), contact_id, kind, value, now))
    if added:
        await inbound.insert_addresses(tx, added, now)
    fresh = await _note_conflicts(tx, contact_id, conflicts, now)
    await _tell_agents(tx, contact_id, added, fresh, now)


async def _note_conflicts(
    tx: Transaction, contact_id: str, conflicts: list[KnownAddress], now: datetime
) -> list[KnownAddress]:
    """Keep conflicts with the contact, each once; return those that are new."""
    if not conflicts:
        return []
    facts = await chat.lock_facts(tx, contact_id)
    noted = list(facts.attributes.get("identity_conflicts", ()))
    seen = {conflict["address_id"] for conflict in noted}
    fresh = [row for row in conflicts if row.id not in seen]
    noted += [
        {"address_id": row.id, "kind": row.address.kind, "contact_id": row.contact_id, "at": now.isoformat()}
        for row in fresh
    ]
    if fresh:
        attributes = {**facts.attributes, "identity_conflicts": noted}
        await chat.save_facts(tx, contact_id, replace(facts, attributes=attributes))
    return fresh


async def _tell_agents(
    tx: Transaction, contact_id: str, added: list[NewAddress], conflicts: list[KnownAddress], now: datetime
) -> None:
    if not added and not conflicts:
        return
    open_now = await inbound.lock_unresolved(tx, [contact_id])
    if contact_id not in open_now:
        return
    events = []
    for address in added:
        data = {"address_id": address.id, "kind": address.address.kind, "reason": _REASON}
        events.append(_event(open_now[contact_id].id, EventType.ADDRESS_ADDED, data, now))
    for row in conflicts:
        data = {"address_id": row.id, "kind": row.address.kind, "contact_id": row.contact_id, "reason": _REASON}
        events.append(_event(open_now[contact_id].id, EventType.IDENTITY_CONFLICT, data, now))
    await append_events(tx, events)


def _event(conversation_id: str, kind: EventType, data: dict[str, str], now: datetime) -> NewEvent:
    return NewEvent(conversation_id=conversation_id, type=kind, at=now, data=data)
