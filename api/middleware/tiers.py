"""Defines the tiers of accounts: how much more than other callers the API keys of a wallet may ask.

Access tokens and addresses have the tier `basic`, whose limit is RATE_LIMIT_PER_MINUTE. Wallets and keys cost nothing,
so a key of the tier basic counts against its address as well. An operator names the wallets of the other tiers in
PRO_WALLETS and MAKER_WALLETS; their keys have an allowance of their own, wherever they ask from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from zmart.settings import Settings

Tier: TypeAlias = Literal["basic", "pro", "maker"]

#: The limit a minute of each tier, in units of RATE_LIMIT_PER_MINUTE.
FACTORS: Final[Mapping[Tier, int]] = {"basic": 1, "pro": 10, "maker": 100}
#: A key may use this share of its minute in one second.
_SHARE_OF_A_SECOND: Final = 10
#: The dearest requests weigh 10; every tier allows some of them a second.
_LEAST_PER_SECOND: Final = 20


def tier_of(wallet: str, settings: Settings) -> Tier:
    """Return the tier of the API keys of a wallet."""
    if wallet in settings.api.maker_wallets:
        return "maker"
    return "pro" if wallet in settings.api.pro_wallets else "basic"


def per_minute(tier: Tier, settings: Settings) -> int:
    """Return the weights a minute of a tier; 0 if requests are not limited."""
    return FACTORS[tier] * settings.api.rate_limit_per_minute


def per_second(tier: Tier, settings: Settings) -> int:
    """Return the weights a second of a tier, for API keys; 0 if requests are not limited."""
    minute = per_minute(tier, settings)
    return minute and min(minute, max(_LEAST_PER_SECOND, minute // _SHARE_OF_A_SECOND))
