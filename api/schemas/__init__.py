"""The shapes of answers, as clients and the OpenAPI document see them.

Postgres builds the bodies; these classes describe them, and the tests decode every endpoint's answer
with them, no field more and no field less. Amounts are lamports (or shares in billionths) as JSON
numbers, as older clients expect them; beyond 2**53 only the `_exact` string beside each is right.
"""

from __future__ import annotations

from .activity import (
    Activity,
    ActivityPage,
    MarketActivity,
    NewestActivities,
    NewestActivity,
    WalletActivity,
)
from .answer import (
    ActivityType,
    AsOf,
    BallotKind,
    Category,
    Commitment,
    Exact,
    FieldProblem,
    Instant,
    Integer,
    Interval,
    Outcome,
    Price,
    Problem,
    Side,
    State,
)
from .charts import (
    Candle,
    Candles,
    PriceHistory,
    PricePoint,
)
from .markets import (
    Deadline,
    Holder,
    Holders,
    Lifecycle,
    LifecycleEvent,
    Market,
    MarketBrief,
    MarketPage,
    MarketStats,
    TradingStats,
)
from .trades import (
    MarketTradePage,
    Trade,
    TradePage,
    WalletTradePage,
)
from .truth import (
    Alert,
    Completeness,
    Health,
    Lag,
    ModelStatus,
    Protocol,
    Readiness,
    SaidBy,
    Saying,
    Status,
)
from .votes import (
    MarketVotes,
    SideCount,
    Vote,
    VoteStats,
)
from .wallets import (
    OnePosition,
    Portfolio,
    PortfolioPosition,
    PortfolioTotals,
    Position,
)

__all__ = [
    "Activity",
    "ActivityPage",
    "ActivityType",
    "Alert",
    "AsOf",
    "BallotKind",
    "Candle",
    "Candles",
    "Category",
    "Commitment",
    "Completeness",
    "Deadline",
    "Exact",
    "FieldProblem",
    "Health",
    "Holder",
    "Holders",
    "Instant",
    "Integer",
    "Interval",
    "Lag",
    "Lifecycle",
    "LifecycleEvent",
    "Market",
    "MarketActivity",
    "MarketBrief",
    "MarketPage",
    "MarketStats",
    "MarketTradePage",
    "MarketVotes",
    "ModelStatus",
    "NewestActivities",
    "NewestActivity",
    "OnePosition",
    "Outcome",
    "Portfolio",
    "PortfolioPosition",
    "PortfolioTotals",
    "Position",
    "Price",
    "PriceHistory",
    "PricePoint",
    "Problem",
    "Protocol",
    "Readiness",
    "SaidBy",
    "Saying",
    "Side",
    "SideCount",
    "State",
    "Status",
    "Trade",
    "TradePage",
    "TradingStats",
    "Vote",
    "VoteStats",
    "WalletActivity",
    "WalletTradePage",
]
