"""What the intake does with what comes in: the steps that need the database and the file store."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.domain.delivery import DeliveryReport
from gateway.domain.message import InboundAttachment, InboundMessage, RawInbound
from gateway.domain.text import storable_text
from gateway.services.journey import DoubtPolicy, record_reports
from gateway.services.receive import Receipt, ReceiptState, receive_messages
from storage.blobs import Blobs
from storage.database import Database
from storage.quarantine import insert_quarantined

Arrival = InboundMessage | DeliveryReport


@dataclass(frozen=True, slots=True)
class Refused:
    """What became of an item that can't be recorded, while those beside it were."""

    reason: str


_REPORTED = Receipt(state=ReceiptState.ACCEPTED)
_STRAY = Refused("The report speaks of no message of ours.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    db: Database
    blobs: Blobs
    doubt: DoubtPolicy
    now: Callable[[], datetime]

    async def store_files(self, arrival: Arrival) -> Arrival:
        """Put the bytes that came along into the file store, before the message is acknowledged.

        Raises:
            Unavailable: the file store can't be reached.
        """
        if isinstance(arrival, DeliveryReport) or not arrival.attachments:
            return arrival
        return replace(arrival, attachments=tuple([await self._store(file) for file in arrival.attachments]))

    async def _store(self, file: InboundAttachment) -> InboundAttachment:
        if file.content is None:
            return file
        return replace(file, content=None, blob=await self.blobs.put(file.content))

    async def record(self, arrivals: Sequence[Arrival]) -> list[Receipt | Refused]:
        """Write everything; what became of each stands in the order of `arrivals`.

        Messages and reports are two transactions, because they take their locks in different orders; each is
        idempotent, so a half done pair may be done again.

        Raises:
            Unavailable: the database is away.
        """
        now = self.now()
        messages = [arrival for arrival in arrivals if isinstance(arrival, InboundMessage)]
        reports = [arrival for arrival in arrivals if isinstance(arrival, DeliveryReport)]
        received: Iterator[Receipt] = iter(())
        reported: Iterator[bool] = iter(())
        if messages:
            received = iter(await self.db.write(lambda tx: receive_messages(tx, messages, now), is_racing=True))
        if reports:
            reported = iter(await self.db.write(lambda tx: record_reports(tx, reports, self.doubt, now)))
        return [
            next(received) if isinstance(arrival, InboundMessage) else _REPORTED if next(reported) else _STRAY
            for arrival in arrivals
        ]

    async def quarantine(self, raw: RawInbound, error: str) -> Receipt:
        """Keep what could not be handled, with its bytes.

        Raises:
            Unavailable: the database is away.
        """
        now = self.now()
        # The bytes are kept as they are; what stands around them may be a sender's too, and must not be refused.
        meta = {storable_text(key): storable_text(value) for key, value in raw.meta.items()}
        kept = replace(raw, meta=meta)
        await self.db.write(lambda tx: insert_quarantined(tx, kept, storable_text(error), now))
        return Receipt(state=ReceiptState.QUARANTINED)
