"""Writes docs/analytics.md: each worked query of analytics/queries with its result on a generated month.

python docs/analytics.py            # generate the month on a temporary Postgres, run the queries, write the page
"""

from __future__ import annotations

import ast
import runpy
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parents[1]
QUERIES = ROOT / "analytics" / "queries"
PAGE = ROOT / "docs" / "analytics.md"
READERS = ROOT / "analytics" / "exact_amounts.py"

HEAD = """# Worked queries in SQL

Worked queries over the schema `marts`, each with its result on a generated month of 4,000 transactions
(`analytics/sample_data.py`). [marts.md](marts.md) describes every column. Run one on your own log:

```sh
.venv/bin/zmart psql analyst -f analytics/queries/01_volume_and_fees_by_day.sql
```

The role `analyst` is read-only, and cannot call functions that notify, lock, signal sessions or write WAL. But Postgres
cannot forbid a role the command NOTIFY. So give the password of `analyst` only to analysts that you trust. Let others
query a standby, which refuses NOTIFY, or use `POST /api/sql`, which runs one SELECT. A query or an idle transaction
ends after 60 seconds, so that it does not block the log. `marts` comes first in the role's search path.

For plots run all cells of [analytics/markets.ipynb](../analytics/markets.ipynb):

![The price of the busiest market, with what was bought and sold](images/analytics-price-path.png)

![Price impact of each buy over its size, a line for each depth of the market maker](images/analytics-impact.png)

![Trading fees by day, split among liquidity providers, resolvers and the protocol](images/analytics-fees.png)

- Amounts are integer lamports (`/ 1e9` gives SOL), shares and prices have nine decimals. Sum first, then divide.
- Times are the chain's clock. To get the day of a time, convert it with `at time zone 'UTC'` first.
- `is_known` is false for a market whose creation event is not in the log yet. `price_yes` is null if no trade is
  possible.
- Folded marts and views change with the log; only after an error is one behind it (`zmart status` shows which).
  `leaderboard`, `wallets`, `pnl_history`, `realizations` and `platform_stats` are some minutes old;
  `ops.scheduled_models` has the seq that each reflects.

## Try a model

```sh
.venv/bin/zmart dbt build --select portfolio
.venv/bin/zmart psql analyst -c 'select * from dbt.portfolio limit 5'
```

`zmart dbt` passes its arguments to dbt. The selected models become tables and views of the schema `dbt`. They contain
the log up to the start of the command and do not follow it afterwards. Marts do not change.
Models that are not selected are read from the schema `dbt` if they were built there, otherwise from the live marts.
`zmart dbt show --select portfolio` prints rows and creates nothing.

The command acts as the role `zmart_dbt`, which may read the same tables as an analyst and writes to that schema only.
`ballots` and `discussions` cannot be tried, because they read the schema `app`. Without `--select`, the command builds
all other models. A statement ends after ten minutes. `zmart migrate` creates the role and the schema. If its login
lacks the right to do so, `zmart dbt` prints the statements for an administrator. To remove all trials, run
`drop schema dbt cascade` as the owner, then `zmart migrate`.

## The sample data

The traders of this month act at random: their prices predict nothing, and after fees nearly all of them lose.

This page is written by `python docs/analytics.py`; a test compares its results.

## Amounts in data frames

Amounts are `numeric(39, 0)`: whole lamports, without a limit of 64 bits. Most libraries convert that type. pandas
converts it to a float, which loses lamports above 2^53 (9 million SOL); ADBC converts it to text. The functions below
read every lamport ([analytics/exact_amounts.py](../analytics/exact_amounts.py)). `dsn` is the output of
`zmart dsn analyst`. An amount on chain has at most 20 digits. So decimals of 38 digits hold every amount and every sum.

```python
{readers}
```

## Prices

In SQL every price is that of one share of YES, as a `bigint` in billionths (nine decimals), as on chain.
`price_yes / 1e9` is between 0 and 1; the price of NO is 1 minus that.

| column | price |
|---|---|
| `trades.price_yes` | after this trade |
| `markets.price_yes` | now: 500000000 before any trade; null where no trade is possible (`b` below 100 SOL) |
| `markets.last_price_yes` | after the last trade, null before any: the folded value that `price_yes` is computed from |
| `open`, `high`, `low`, `close` of the candles | after the first, highest, lowest and last trade of the interval |

The program names the price `new_price_yes`, in the same scale; so does `payload` in `log.events`. REST and streams use
the names of earlier clients:

- `new_price_yes` of a trade is `price_yes`.
- `current_price_yes`, `priceYes` and `price_after` are `price_yes / 1e9`.
- `current_price_no` and `priceNo` are 1 minus that.
- `price` is the price of the side that was traded.

## Outcomes

`outcome` is text in every mart and in REST: `YES` or `NO`, and for a market also `INVALID`, or null while undecided.
Columns with another name (`proposed_outcome`, `final_outcome`, in REST also `outcome_bool`) are the program's booleans,
where true is YES. `outcome` inside `payload` in `log.events` is such a boolean, too, because `payload` is the event as
the program emitted it.
"""


@dataclass(frozen=True, kw_only=True)
class Query:
    """One file: a question, remarks about it, and the statement."""

    path: Path
    question: str
    remarks: str
    statement: str


def queries() -> Iterator[Query]:
    """Yield all worked queries, in the order of their numbers."""
    for path in sorted(QUERIES.glob("*.sql")):
        lines = path.read_text().splitlines()
        comments = [line.removeprefix("--").strip() for line in lines if line.startswith("--")]
        question, mark, remarks = " ".join(comments).partition("?")
        yield Query(
            path=path,
            question=question + mark,
            remarks=remarks.strip(),
            statement="\n".join(line for line in lines if not line.startswith("--")),
        )


def head() -> str:
    """Return the page up to its first query, with the lines that read amounts exactly."""
    source = READERS.read_text()
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.Assign)]
    return HEAD.replace("{readers}", "\n\n\n".join(str(ast.get_source_segment(source, node)) for node in functions))


def page(dsn: str) -> str:
    """Return the whole page; run its queries in the database at `dsn`, with the rights of the role in it."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        return head() + "".join(_section(connection, query) for query in queries())


def _section(connection: psycopg.Connection[tuple[object, ...]], query: Query) -> str:
    answer = connection.execute(query.statement.encode())
    assert answer.description is not None
    table = _table([column.name for column in answer.description], answer.fetchall())
    name = query.path.relative_to(ROOT)
    remarks = f"{query.remarks}\n\n" if query.remarks else ""
    return f"\n## {query.question}\n\n{remarks}[{name}](../{name})\n\n```sql\n{query.statement}\n```\n\n{table}"


def _table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    rights = [all(not isinstance(row[at], str) for row in rows) for at in range(len(names))]
    ruler = ["---:" if right else "---" for right in rights]
    cells = [list(names), ruler, *(["" if value is None else str(value) for value in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def main() -> int:
    """Generate the month, run the queries and write the page."""
    from zmart import testing
    from zmart.run.deploy import rebuild

    fill = runpy.run_path(str(ROOT / "analytics" / "sample_data.py"))["fill"]
    with testing.server() as server, server.template(testing.apply_migrations) as database:
        rebuild.deploy(database.dsn())
        fill(database.dsn())
        PAGE.write_text(page(database.dsn("analyst")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
