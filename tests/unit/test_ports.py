"""A server's port is never one that the kernel gives to a caller."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from zmart import errors
from zmart.run import ports


def test_a_free_port_is_below_the_ephemeral_range() -> None:
    """Or a server that is started again may find its port taken by a connection."""
    callers = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(50):
        assert ports.LOWEST <= ports.find_free_port(following=1) < callers - 1


def test_a_listening_port_is_not_free() -> None:
    """Whatever listens there."""
    with socket.socket() as holder:
        holder.bind((ports.HOST, 0))
        holder.listen()
        assert not ports.is_free(holder.getsockname()[1])


def test_no_free_port_raises_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not look for ever."""
    monkeypatch.setattr(ports, "is_free", lambda _port: False)
    with pytest.raises(errors.Unavailable, match="No free port"):
        ports.find_free_port()
