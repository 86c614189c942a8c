"""A feed to read, with methods that write to it."""

from __future__ import annotations

import dataclasses

import psycopg


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeedLog:
    """The feed of a database, with methods that append to it."""

    owner: psycopg.Connection[tuple[object, ...]]
    #: Reads with the API's role.
    dsn: str

    def append(self, count: int = 1, *, ring: bool = True) -> None:
        """Append `count` facts in one transaction, as the writer does."""
        with self.owner.transaction():
            self.owner.execute("select raw.take_writer()")
            self.owner.execute(
                "insert into raw.feed (seq, kind, ref)"
                " select n, 'finalized_through', n from"
                " generate_series(raw.next_seq(), raw.next_seq() + %s - 1) as n",
                [count],
            )
            if ring:
                self.owner.execute("notify zmart_feed")

    def terminate_readers(self) -> None:
        """End the listeners' server processes, like an operator or a failover."""
        self.owner.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and application_name = 'zmart feed'"
        )

    def renew_epoch(self) -> None:
        """Start a new epoch, as after a restore."""
        self.owner.execute("update raw.identity set epoch = gen_random_uuid()")
