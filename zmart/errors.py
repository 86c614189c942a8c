"""Defines every error that the project raises on purpose, in one tree.

    ZmartError                      has a message for the operator or user and, where one exists, the next step
    ├── Permanent                   trying again cannot help
    │   ├── ConfigurationError      stops a command at its start
    │   ├── DecodeError             bytes that do not have the form they should have
    │   ├── ProgramError            the on-chain program would refuse; has its number and name
    │   ├── InvalidInput            a caller's value; the message contains which and what was expected
    │   ├── NotFound                nothing has the requested name
    │   ├── Conflict                it exists already, or its state has changed
    │   └── Unauthorized            no proof of identity, or an insufficient one
    └── Transient                   the same call may succeed later; states after how many seconds
        ├── Unavailable             a required server is not answering
        └── Overloaded              work is refused, so that accepted work can be completed

The branch decides on a retry, never the message: `Transient` is retried, `Permanent` is not.
"""

from __future__ import annotations

_SENTENCE_ENDS = (".", "!", "?", ":")


class ZmartError(Exception):
    """An expected error occurred."""

    #: The next step for the reader; shown after the message where there is one.
    help: str | None = None

    def __init__(self, message: str | None = None, *, help: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").splitlines()[0])
        if help is not None:
            self.help = help

    def __str__(self) -> str:
        text = super().__str__()
        if not self.help:
            return text
        return f"{text}{'' if text.endswith(_SENTENCE_ENDS) else '.'} {self.help}"


class Permanent(ZmartError):
    """Trying again cannot help."""


class ConfigurationError(Permanent):
    """The configuration cannot work."""


class DecodeError(Permanent):
    """Bytes do not have the form they should have."""


class InvalidInput(Permanent):
    """A value was not acceptable."""


class NotFound(Permanent):
    """There is no such thing."""


class Conflict(Permanent):
    """It exists already, or its state has changed."""


class Unauthorized(Permanent):
    """The proof of identity is missing or not sufficient."""


class ProgramError(Permanent):
    """The on-chain program refuses.

    `name` and `code` are those of protocol.md 1.8: Anchor numbers from 6000 in order of declaration.
    """

    def __init__(self, name: str, code: int, message: str) -> None:
        super().__init__(f"{name} ({code}): {message}")
        self.name = name
        self.code = code


class Transient(ZmartError):
    """The same call may succeed later."""

    #: Seconds after which trying again is reasonable.
    retry_after_seconds: float = 1.0


class Unavailable(Transient):
    """A required server is not answering."""


class Overloaded(Transient):
    """Too much work is waiting; this request was refused so that the accepted work can be completed."""
