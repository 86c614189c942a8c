"""Turns entries of the log into messages of the bus: subject, headers and body.

    subject     zmart.market.<market account>.<kind>, zmart.log.<kind> for entries without a market
    Nats-Msg-Id the entry's position, `epoch:seq:mark`
    body        JSON: position, epoch, seq, kind, ref, market_id, market, wallet, at, event

A `resync` message has the subject `zmart.log.resync`. It says that the log is another one from here on, or that
messages are missing: a consumer discards its state, reads the current one from the API and goes on with the entries
that follow.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from zmart import errors
from zmart.db import feed

ResyncReason: TypeAlias = Literal["foreign_epoch", "future_position", "mark_mismatch", "trimmed", "begun"]

#: Subjects of the stream.
SUBJECTS: Final = "zmart.>"
#: Names the process that published a message, so that a second relay is recognised.
RELAY_HEADER: Final = "Zmart-Relay"
_RESYNC_PREFIX: Final = "resync:"
_SUBJECT_OF_LOG: Final = "zmart.log"


@dataclass(frozen=True)
class Message:
    """A message that is ready to be published."""

    subject: str
    #: Nats-Msg-Id.
    id: str
    body: bytes
    #: The reader's position after this message.
    position: feed.FeedPosition
    #: When the entry was appended to the log; None for a message that is no entry.
    at: datetime.datetime | None = None

    @property
    def is_entry(self) -> bool:
        """Return whether it is an entry of the log."""
        return self.at is not None

    def without_event(self) -> Message:
        """Return the same message without its event, for a bus that accepts no message of this size."""
        fields = json.loads(self.body)
        body = _encode({**fields, "event": None, "omitted": "event"})
        return Message(self.subject, self.id, body, self.position, self.at)


def entry_message(
    position: feed.FeedPosition,
    *,
    kind: str,
    market: str | None,
    at: datetime.datetime,
    fields: str,
    event: str | None,
) -> Message:
    """Return the message of an entry; `fields` and `event` are JSON objects as Postgres wrote them."""
    body = {**_place(position), **json.loads(fields), "event": None if event is None else json.loads(event)}
    subject = f"{_SUBJECT_OF_LOG}.{kind}" if market is None else f"zmart.market.{market}.{kind}"
    return Message(subject, str(position), _encode(body), position, at)


def resync_message(position: feed.FeedPosition, reason: ResyncReason) -> Message:
    """Return the message after which the entries that follow `position` are published."""
    body = {**_place(position), "kind": "resync", "reason": reason}
    return Message(f"{_SUBJECT_OF_LOG}.resync", f"{_RESYNC_PREFIX}{position}", _encode(body), position)


def position_of(message_id: str | None) -> feed.FeedPosition:
    """Return the position after a message of the stream; raise ConfigurationError for one that is not the relay's."""
    try:
        return feed.FeedPosition.parse((message_id or "").removeprefix(_RESYNC_PREFIX))
    except errors.InvalidInput as error:
        raise errors.ConfigurationError(
            "The last message of the stream was not published by the relay: its Nats-Msg-Id is no position.",
            help="Let nobody else publish to zmart.>, or give the relay a stream of its own (NATS_STREAM).",
        ) from error


def reason_of(error: feed.ForeignPosition) -> ResyncReason:
    """Return the reason to name to consumers when the log does not contain the bus's last position."""
    if isinstance(error, feed.ForeignEpoch):
        return "foreign_epoch"
    return "future_position" if isinstance(error, feed.FuturePosition) else "mark_mismatch"


def _place(position: feed.FeedPosition) -> dict[str, str | int]:
    return {"position": str(position), "epoch": position.epoch, "seq": position.seq}


def _encode(body: object) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
