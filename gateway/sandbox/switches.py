"""What can go wrong in the sandbox, as switches that a newcomer understands; each is what the stand-ins really do."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gateway.sandbox.smtp import SmtpPeer
from gateway.sandbox.smtp_ledger import Fault
from gateway.sandbox.smtp_ledger import Kind as FaultKind
from gateway.sandbox.twilio import TwilioStandIn
from gateway.sandbox.twilio_callbacks import CallbackMode
from gateway.sandbox.twilio_ledger import Behaviour
from gateway.sandbox.twilio_ledger import Kind as BehaviourKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One thing that goes wrong for everybody as long as it is on. `place`: whose fault it is."""

    id: str
    place: str  # phone, provider, reports or mail
    behaviour: Behaviour | None = None
    callbacks: CallbackMode | None = None
    fault: Fault | None = None


def _behaviour(kind: BehaviourKind, *, code: int = 0, status: int = 0, retry_after_s: int = 1) -> Behaviour:
    return Behaviour(kind=kind, code=code, status=status, retry_after_s=retry_after_s, times=None)


# Numbers: Twilio error dictionary, 2026-11. Of the reports, one switch at a time can be on: they are one setting.
SWITCHES: Sequence[Switch] = (
    Switch(id="phone_off", place="phone", behaviour=_behaviour(BehaviourKind.UNDELIVERED, code=30003)),
    Switch(id="number_gone", place="phone", behaviour=_behaviour(BehaviourKind.REFUSE, code=21211)),
    Switch(id="opted_out", place="phone", behaviour=_behaviour(BehaviourKind.REFUSE, code=21610)),
    Switch(id="too_many", place="provider", behaviour=_behaviour(BehaviourKind.THROTTLE, retry_after_s=2)),
    Switch(id="provider_down", place="provider", behaviour=_behaviour(BehaviourKind.FAULT, status=503)),
    Switch(id="answer_lost", place="provider", behaviour=_behaviour(BehaviourKind.DROP)),
    Switch(id="reports_none", place="reports", callbacks=CallbackMode.NONE),
    Switch(id="reports_shuffled", place="reports", callbacks=CallbackMode.SHUFFLED),
    Switch(id="reports_doubled", place="reports", callbacks=CallbackMode.DOUBLED),
    Switch(id="reports_late", place="reports", callbacks=CallbackMode.LATE),
    Switch(id="mailbox_gone", place="mail", fault=Fault(kind=FaultKind.REFUSE, times=None)),
    Switch(
        id="mail_later", place="mail", fault=Fault(kind=FaultKind.REFUSE, reply="451 4.7.1 Try again later", times=None)
    ),
    Switch(id="mail_answer_lost", place="mail", fault=Fault(kind=FaultKind.DROP_AFTER, times=None)),
)
KNOWN = frozenset(switch.id for switch in SWITCHES)


def turn(on: Collection[str], twilio: TwilioStandIn, peer: SmtpPeer) -> None:
    """Have exactly these go wrong, and everything else as usual; ids that are none of ours do nothing."""
    twilio.behaviours.clear()
    peer.faults.clear()
    twilio.callbacks = CallbackMode.ORDERED
    for switch in SWITCHES:
        if switch.id not in on:
            continue
        if switch.behaviour is not None:
            twilio.behaviours.add(switch.behaviour)
        if switch.fault is not None:
            peer.faults.add(switch.fault)
        if switch.callbacks is not None:
            twilio.callbacks = switch.callbacks
