"""What proves a mail's From: a pure decision over headers and envelope; nothing is looked up (architecture.md).

Two things prove it: our own server's Authentication-Results say that DMARC passed for the domain of the From
(RFC 8601, RFC 7489 3.1), or a relay of ours, which has checked SPF, hands over an envelope sender of that domain.
Everything else is a claim.
"""

import re
from dataclasses import dataclass

from channels.email.address import NamedMailbox, normalise_mailbox
from channels.email.header import read_comment

_MAX_RESULTS = 20  # fields that are looked at
_WORD = re.compile(r'"(?:[^"\\]|\\.)*+"?|[^\s"();=]+|[;=()]|\s+|.', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`reason` is in plain words, for the agent and the log."""

    is_proved: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthResults:
    """One Authentication-Results field: who wrote it and what it says of DMARC, as (result, domain of the From)."""

    authserv_id: str
    dmarc: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderFacts:
    """`from_fields` counts From fields; `results` are the Authentication-Results fields, topmost first, unfolded."""

    authors: tuple[NamedMailbox, ...]
    from_fields: int
    results: tuple[str, ...]
    mail_from: str
    is_trusted_relay: bool


def prove_sender(facts: SenderFacts, authserv_id: str) -> Verdict:
    """Decide whether the single author of a mail is proved."""
    if facts.from_fields != 1 or len(facts.authors) != 1:
        return Verdict(is_proved=False, reason="The mail does not name exactly one author.")
    author = facts.authors[0]
    if not author.is_plain:
        return Verdict(is_proved=False, reason="The author's address can be read in more than one way.")
    results = [parse_results(field) for field in facts.results[:_MAX_RESULTS]]
    if any(result == "fail" for found in results for result, _ in found.dmarc):
        return Verdict(is_proved=False, reason="A mail server on the way says that DMARC failed.")
    if not facts.is_trusted_relay:
        # Anybody can write our mail servers' name into a field of their own.
        return Verdict(is_proved=False, reason="Nobody whom we trust has checked the sender.")
    domain = author.address.rpartition("@")[2]
    if not authserv_id:
        return _prove_by_envelope(facts, domain)
    own = next((found for found in results if found.authserv_id == authserv_id.lower()), None)
    if own is not None and own.dmarc and all(found == ("pass", domain) for found in own.dmarc):
        return Verdict(is_proved=True, reason="Our mail server says that DMARC passed.")
    return Verdict(is_proved=False, reason="Our mail server does not say that DMARC passed.")


def _prove_by_envelope(facts: SenderFacts, domain: str) -> Verdict:
    """A relay of ours that writes no results has checked SPF, so the envelope's sender is real."""
    sender = normalise_mailbox(facts.mail_from)
    if sender is None:
        return Verdict(is_proved=False, reason="The envelope names no sender.")
    if not is_aligned(sender.rpartition("@")[2], domain):
        return Verdict(is_proved=False, reason="The envelope's sender has another domain than the author.")
    return Verdict(is_proved=True, reason="A trusted relay took it from the author's domain.")


def is_aligned(envelope_domain: str, from_domain: str) -> bool:
    """True for the same domain and for a subdomain of the author's.

    Not the other way round: without the list of public suffixes, an envelope sender of co.uk would speak for every
    shop below it.
    """
    return "." in from_domain and (envelope_domain == from_domain or envelope_domain.endswith(f".{from_domain}"))


def parse_results(field: str) -> AuthResults:
    """Read what a field says of DMARC; comments and quoted strings, which strangers can fill, say nothing."""
    statements = _split_statements(field[:16_384])
    authserv_id = statements[0][0].strip('"').lower() if statements and statements[0] else ""
    dmarc = []
    for words in statements[1:]:
        # method [/version] = result, then properties: ptype.property = value
        if len(words) < 3 or words[0].lower().partition("/")[0] != "dmarc" or words[1] != "=":
            continue
        properties = {words[at - 1].lower(): words[at + 1] for at in range(4, len(words) - 1) if words[at] == "="}
        domain = properties.get("header.from", "").strip('"').rpartition("@")[2].rstrip(".").lower()
        dmarc.append((words[2].lower(), domain))
    return AuthResults(authserv_id=authserv_id, dmarc=tuple(dmarc))


def _split_statements(field: str) -> list[list[str]]:
    """Return the words of each statement between semicolons, without comments and white space."""
    statements: list[list[str]] = [[]]
    position = 0
    while match := _WORD.match(field, position):
        word, position = match.group(), match.end()
        if word == "(":
            _, position = read_comment(field, position)
        elif word == ";":
            statements.append([])
        elif not word.isspace():
            statements[-1].append(word)
    return statements
