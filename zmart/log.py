"""Configures structured logs: one event per line, JSON or readable on a terminal, without secrets in either.

A mask is applied to every line before it is written, lines of libraries included. It recognises the secrets of this
process literally, the names of fields with secrets (`authorization`, `password` ...) and the forms of secrets (a
password in a URL, a bearer token, a JWT).
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, TextIO
from urllib.parse import urlsplit

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from zmart.settings import Settings

MASK = "***"

#: Names whose value is never shown, wherever they appear in an event.
_SECRET_NAME = re.compile(
    r"pass(word|wd)?$|secret|token|authorization|cookie|api_?key|private_?key|keypair$|jwt|dsn$"
    r"|credential|signature_header|ticket",
    re.IGNORECASE,
)
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(://[^/\s:@]*:)[^@\s/]+@"), rf"\g<1>{MASK}@"),
    (
        re.compile(r"((?:api[-_]?key|token|secret|password)=)[^&\s\"']+", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    (re.compile(r"\b(Bearer|Basic) [A-Za-z0-9._~+/=-]+", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\bzmk_[A-Za-z0-9_-]+"), MASK),
    (re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"), MASK),
)
#: Shorter secrets would mask ordinary words.
_SHORTEST_LITERAL = 8


class SecretMask:
    """A structlog processor that hides secrets in names, values and text, at any depth."""

    def __init__(self, literals: tuple[str, ...] = ()) -> None:
        literals_by_length = sorted({word for word in literals if len(word) >= _SHORTEST_LITERAL}, key=len)
        pattern = "|".join(re.escape(word) for word in reversed(literals_by_length))
        self._literals = re.compile(pattern) if pattern else None

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        """Return the event with every secret replaced."""
        return {name: self._mask_field(name, value) for name, value in event.items()}

    def mask_text(self, text: str) -> str:
        """Return `text` with every secret in it replaced."""
        if self._literals is not None:
            text = self._literals.sub(MASK, text)
        for shape, replacement in _SHAPES:
            text = shape.sub(replacement, text)
        return text

    def _mask_field(self, name: object, value: object) -> object:
        if isinstance(name, str) and _SECRET_NAME.search(name) and value is not None:
            return MASK
        return self._mask_value(value)

    def _mask_value(self, value: object) -> object:
        if isinstance(value, str):
            return self.mask_text(value)
        if isinstance(value, Mapping):
            return {name: self._mask_field(name, item) for name, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._mask_value(item) for item in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self.mask_text(str(value))


def configure(settings: Settings, *, service: str, stream: TextIO | None = None) -> None:
    """Set up logging for this process; call it once, before the first line.

    Lines go to standard error, as JSON unless that is a terminal, and contain the service's name. A server with its own
    logging must have it disabled (Litestar: `logging_config=None`), or its lines are not masked.
    """
    out = stream or sys.stderr
    mask = SecretMask(tuple(_secret_literals(settings)))
    chain = _processors(service)
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *chain],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                mask,
                _renderer(out),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *chain,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _secret_literals(settings: Settings) -> Iterator[str]:
    for secret in settings.secrets():
        yield secret.reveal()
        password = urlsplit(secret.reveal()).password if "://" in secret.reveal() else None
        if password:
            yield password


def _processors(service: str) -> list[Processor]:
    def name_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event.setdefault("service", service)
        return event

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        name_service,
    ]


def _renderer(out: TextIO) -> Processor:
    if out.isatty():
        return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    return _render_json


def _render_json(logger: WrappedLogger, name: str, event: MutableMapping[str, Any]) -> str | bytes:
    """Return one line of JSON, with time, level and event first."""
    ordered = {"at": event.pop("at", None), "level": event.pop("level", None), **event}
    return structlog.processors.JSONRenderer(ensure_ascii=False)(logger, name, ordered)
