"""Defines the types of single values: a secret, a cluster, a database role."""

from __future__ import annotations

import enum
import ipaddress
from typing import Literal, TypeAlias, get_args

Role: TypeAlias = Literal["zmart_owner", "zmart_ingest", "zmart_api", "zmart_keeper", "analyst", "zmart_backup"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
Eligibility: TypeAlias = Literal["any", "known"]
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

ROLES: tuple[Role, ...] = get_args(Role)
#: The consensus that the development chain can play.
CONSENSUS_CHOICES = ("alpenglow", "tower", "unknown")


class Secret:
    """A value that no log line or traceback shows; only `reveal()` returns it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Cluster(enum.Enum):
    """The supported Solana clusters; localnet is the development chain or a test validator."""

    LOCALNET = "localnet"
    DEVNET = "devnet"
    MAINNET = "mainnet"
