"""Builds and checks the text of a ballot, which contains everything that the ballot means.

If a signature could be read as another vote, another client could cast that vote with it. So the text contains the
site it is for, the chain, market, kind, choice and wallet, and a single-use nonce of this API. The signed text and the
signature are stored with the ballot, so that anyone can repeat the count.

    ZMART ballot

    Chain: devnet
    Market: 0101...
    Kind: proposal
    Choice: like
    Wallet: 4Mky...
    Nonce: 5f3c...
"""

from __future__ import annotations

import re
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
_NONCE: Final = re.compile(r"^Nonce: ([0-9a-f]+)$", re.MULTILINE)
_HEADING: Final = "ZMART ballot"


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """One wallet's vote on one market."""

    chain_id: str
    #: The market as the voter named it: its id or its account.
    market: str
    kind: Kind
    vote: bool
    wallet: Address

    def text(self, nonce: str) -> str:
        """Return the text to sign."""
        return "\n".join(
            [
                _HEADING,
                "",
                f"Chain: {self.chain_id}",
                f"Market: {self.market}",
                f"Kind: {self.kind}",
                f"Choice: {CHOICES[self.kind][self.vote]}",
                f"Wallet: {self.wallet}",
                f"Nonce: {nonce}",
            ]
        )

    def nonce_of(self, text: str) -> str:
        """Return the nonce of a text that is exactly this ballot's; raise NotSignedIn for any other text."""
        found = _NONCE.search(text)
        if found is None or self.text(found[1]) != text:
            raise errors.NotSignedIn(
                "The signed text does not belong to this ballot.", help="Sign the text of GET /api/votes/message."
            )
        return found[1]


def is_ballot(text: str) -> bool:
    """Return whether a text has the heading of a ballot, unlike the older proofs."""
    return text.startswith(_HEADING)
