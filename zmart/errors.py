"""Every error the project raises on purpose, in one tree.

    ZmartError                      carries a message for a person and, where one exists, the next step
    ├── Permanent                   trying again cannot help
    │   ├── ConfigurationError      stops a command at the door
    │   ├── DecodeError             bytes that are not what they claim to be
    │   ├── ProgramError            the on-chain program would refuse; has its number and name
    │   ├── InvalidInput            a caller's value; told which and what was expected
    │   ├── NotFound                no such thing, by the name that was asked for
    │   ├── Conflict                it exists already, or the world has moved on
    │   └── Unauthorized            no proof, or not enough of it
    └── Transient                   the same call may succeed later; says after how many seconds
        ├── Unavailable             a server we stand on is not answering
        └── Overloaded              we refuse work to keep what we hold

Retry is decided by the branch, never by reading a message: `Transient` is retried, `Permanent` is not.
"""

from __future__ import annotations


class ZmartError(Exception):
    """Something went wrong in a way we know."""

    #: What the reader should do next; shown after the message where there is one.
    help: str | None = None

    def __init__(self, message: str | None = None, *, help: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").splitlines()[0])
        if help is not None:
            self.help = help

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text} {self.help}" if self.help else text


class Permanent(ZmartError):
    """Trying again cannot help."""


class ConfigurationError(Permanent):
    """The configuration cannot work."""


class DecodeError(Permanent):
    """Bytes are not what they claim to be."""


class InvalidInput(Permanent):
    """A value was not acceptable."""


class NotFound(Permanent):
    """There is no such thing."""


class Conflict(Permanent):
    """It exists already, or the world has moved on."""


class Unauthorized(Permanent):
    """No proof of who is asking, or not enough of it."""


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
    """A server we stand on is not answering."""


class Overloaded(Transient):
    """Too much work is waiting; this piece was refused so that the rest is kept."""
