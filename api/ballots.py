"""Builds and checks the text of a ballot, which contains everything that the ballot means.

If a signature could be read as another vote, another client could cast that vote with it. So the text contains the
site it is for, the chain, market, kind, choice and wallet, and a single-use nonce of this API. The signed text and the
signature are stored with the ballot, so that anyone can repeat the count.

    ZMART ballot

    Site: app.example
    Chain: devnet
    Market: 0101...
    Kind: proposal
    Choice: like
    Wallet: 4Mky...
    Nonce: 5f3c...
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from zmart.domain.ids import Address

from . import errors

Kind: TypeAlias = Literal["proposal", "dispute"]

#: The names of true and false. In a dispute, true agrees with the dispute (protocol.md 4.1).
CHOICES: Final[dict[Kind, dict[bool, str]]] = {
    "proposal": {True: "like", False: "dislike"},
    "dispute": {True: "agree", False: "disagree"},
}
_SITE: Final = re.compile(r"^Site: (\S+)$", re.MULTILINE)
_NONCE: Final = re.compile(r"^Nonce: ([0-9a-f]+)$", re.MULTILINE)
_HEADING: Final = "ZMART ballot"
_HELP: Final = "Sign what GET /api/votes/message gives."


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """One wallet's vote on one market."""

    chain_id: str
    #: The market as the voter named it: its id or its account.
    market: str
    kind: Kind
    vote: bool
    wallet: Address

    def text(self, site: str, nonce: str) -> str:
        """Return the text to sign; `site` is the host and port that the voter votes on."""
        return "\n".join(
            [
                _HEADING,
                "",
                f"Site: {site}",
                f"Chain: {self.chain_id}",
                f"Market: {self.market}",
                f"Kind: {self.kind}",
                f"Choice: {CHOICES[self.kind][self.vote]}",
                f"Wallet: {self.wallet}",
                f"Nonce: {nonce}",
            ]
        )

    def nonce_of(self, text: str, sites: Collection[str]) -> str:
        """Return the nonce of a text that is exactly this ballot's on one of our sites; else raise NotSignedIn."""
        site, nonce = _SITE.search(text), _NONCE.search(text)
        if site is None or nonce is None or self.text(site[1], nonce[1]) != text:
            raise errors.NotSignedIn("The signed text does not belong to this ballot.", help=_HELP)
        if site[1] not in sites:
            raise errors.NotSignedIn("The signed ballot names a site that this API does not serve.", help=_HELP)
        return nonce[1]


def is_ballot(text: str) -> bool:
    """Return whether a text has the heading of a ballot, unlike the older proofs."""
    return text.startswith(_HEADING)
