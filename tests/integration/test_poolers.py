"""A pooler in transaction mode is found and refused, by doctor and at every start."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fake_pooler
import pytest

from zmart import errors, settings, testing
from zmart.cli import services
from zmart.db import poolers
from zmart.run.doctor import doctor
from zmart.run.supervisor import services as planned

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=[True, False], ids=["idle", "turning"])
def pooler(
    request: pytest.FixtureRequest, marts_database: testing.PostgresDatabase
) -> Iterator[fake_pooler.FakePooler]:
    """One that lends the same backend again, and one that takes turns."""
    with fake_pooler.in_front_of(marts_database.dsn("postgres"), is_lifo=request.param) as found:
        yield found


def test_a_pooler_in_transaction_mode_is_refused(
    pooler: fake_pooler.FakePooler, marts_database: testing.PostgresDatabase
) -> None:
    """With the next step; the server itself is accepted, and one that is away is reported by others."""
    with pytest.raises(errors.ConfigurationError, match=r"pooler in transaction mode.*Use the session port\."):
        poolers.require_session_mode([marts_database.dsn(), pooler.dsn])
    poolers.require_session_mode([marts_database.dsn(), "postgresql://nobody@127.0.0.1:1/nowhere"])


@pytest.mark.parametrize("backends", [2, 3, 4, 5])
@pytest.mark.parametrize("is_lifo", [True, False])
def test_every_order_of_lending_is_found(
    marts_database: testing.PostgresDatabase, backends: int, is_lifo: bool
) -> None:
    """However many backends it has, and whichever it lends next."""
    with fake_pooler.in_front_of(marts_database.dsn("postgres"), backends=backends, is_lifo=is_lifo) as found:
        assert [poolers.is_transaction_pooler(found.dsn) for _ in range(5)] == [True] * 5
    assert not poolers.is_transaction_pooler(marts_database.dsn())


def test_the_doctor_finds_it(pooler: fake_pooler.FakePooler, tmp_path: Path) -> None:
    """As a failure with the next step, although the address does not show it."""
    environ = {"DATABASE_URL": pooler.dsn, "ZMART_STATE_DIR": str(tmp_path), "DEVCHAIN_PORT": "1"}
    found = [each for each in doctor.examine_settings(environ, {}) if each.check == "postgres"]
    assert any(each.answer == "no" and each.step == "Use the session port." for each in found), found


@pytest.mark.parametrize("module", ["ingest", "api"])
def test_services_do_not_start_behind_it(pooler: fake_pooler.FakePooler, tmp_path: Path, module: str) -> None:
    """Exit status 2 and one sentence, as for every configuration that cannot work."""
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": pooler.dsn,
        "HELIUS_AUTH_HEADER": "header",
        "DEVCHAIN_PORT": "1",
        "ZMART_STATE_DIR": str(tmp_path),
    }
    ended = subprocess.run(
        [sys.executable, "-m", module],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert "Use the session port." in ended.stderr


def test_up_refuses_it_before_anything_starts(pooler: fake_pooler.FakePooler, tmp_path: Path) -> None:
    """Whichever services are chosen."""
    environ = {"DATABASE_URL": pooler.dsn, "ZMART_STATE_DIR": str(tmp_path)}
    configured = settings.load(environ)
    names = {service.name for service in planned.plan(configured, environ, only=["postgres"])}
    with pytest.raises(errors.ConfigurationError, match="Use the session port"):
        services.require_database(configured, names)
