"""Stores Dagster's runs, events and ticks in Postgres, over connections that are used again.

dagster-postgres opens a connection for every statement, and asks for its tables whenever an instance is created, which
the code server does at every tick of a sensor. On an idle product these connections were the largest part of its CPU
time: Postgres starts a process and checks a password for each. Here, all storages and instances of a process share one
small pool.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import create_pg_engine
from sqlalchemy.engine import Engine

#: Connections that stay open in each process; the daemon has that many threads that ask often.
POOL_CONNECTIONS: Final = 3
#: More than these are opened for a moment, and closed after use.
POOL_OVERFLOW: Final = 20
#: A connection is not used for longer, so that a server behind a pooler or a balancer can be replaced.
RECYCLE_SECONDS: Final = 900

#: The pool of each address that this process uses.
shared_engines: dict[str, Engine] = {}
_lock = threading.Lock()


class SharedPostgresStorage(DagsterPostgresStorage):
    """The storage of dagster-postgres, over the pool of the process; `dagster.yaml` names it."""

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        with _lock:
            is_first = postgres_url not in shared_engines
            # Only the first instance of a process looks for the tables and creates them.
            super().__init__(postgres_url, should_autocreate_tables=is_first, inst_data=inst_data)
            if is_first:
                shared_engines[postgres_url] = _create_engine(postgres_url)
            storages: tuple[Any, ...] = (self._run_storage, self._event_log_storage, self._schedule_storage)
            for storage in storages:
                # There is no argument for the engine.
                storage._engine = shared_engines[postgres_url]

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> SharedPostgresStorage:
        """Create the storage of an instance from its configuration."""
        return cls(str(config_value["postgres_url"]), inst_data)


def _create_engine(postgres_url: str) -> Engine:
    return create_pg_engine(
        postgres_url,
        isolation_level="AUTOCOMMIT",
        pool_size=POOL_CONNECTIONS,
        max_overflow=POOL_OVERFLOW,
        pool_recycle=RECYCLE_SECONDS,
        # After a restart of the server, a connection of before is replaced instead of failing a tick.
        pool_pre_ping=True,
    )
