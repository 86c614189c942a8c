"""A server's port is never one that the kernel gives to a caller."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from zmart import errors
from zmart.run import ports


def test_it_is_below_those_that_callers_are_given() -> None:
    """Or a server that is started again may find its port taken by a connection."""
    callers = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(50):
        assert ports.LOWEST <= ports.find_free_port(following=1) < callers - 1


def test_one_that_is_listened_on_is_not_free() -> None:
    """Whatever listens there."""
    with socket.socket() as holder:
        holder.bind((ports.HOST, 0))
        holder.listen()
        assert not ports.is_free(holder.getsockname()[1])


def test_where_all_are_taken_it_says_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not look for ever."""
    monkeypatch.setattr(ports, "is_free", lambda _port: False)
    with pytest.raises(errors.Unavailable, match="No free port"):
        ports.find_free_port()
