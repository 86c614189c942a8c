"""A server's port is never one that the kernel assigns to a client."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from zmart import errors
from zmart.run import ports


def test_a_free_port_is_below_the_ephemeral_range() -> None:
    """Otherwise a restarted server may find that a connection uses its port."""
    callers = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(50):
        assert ports.LOWEST <= ports.find_free_port(following=1) < callers - 1


def test_a_listening_port_is_not_free() -> None:
    """For any program that listens there."""
    with socket.socket() as holder:
        holder.bind((ports.HOST, 0))
        holder.listen()
        assert not ports.is_free(holder.getsockname()[1])


def test_no_free_port_raises_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search ends."""
    monkeypatch.setattr(ports, "is_free", lambda _port: False)
    with pytest.raises(errors.Unavailable, match="No free port"):
        ports.find_free_port()


def test_ports_of_one_choice_are_no_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two services never get the same one, nor the next one, which the development chain takes."""
    drawn = iter([20_000, 20_000, 20_001, 19_999, 20_002])
    monkeypatch.setattr(ports, "find_free_port", lambda following=0: next(drawn))

    assert ports.find_free_ports(2) == [20_000, 20_002]
