"""The text of a ballot, which says everything it stands for.

A signature that could be read as another vote is a vote somebody else can cast. So the text names the
site it is for, the chain, market, kind, choice and wallet, and a nonce of ours that is used up with it;
what was signed and the signature are kept with the ballot, so that anyone can count again.

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

#: What true and false are called. In a dispute true agrees with the dispute (protocol.md 4.1).
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
    #: As the voter named it: its id or its account.
    market: str
    kind: Kind
    vote: bool
    wallet: Address

    def text(self, nonce: str) -> str:
        """The text to sign."""
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
        """The nonce of a text that says exactly this ballot; NotSignedIn for any other text."""
        found = _NONCE.search(text)
        if found is None or self.text(found[1]) != text:
            raise errors.NotSignedIn(
                "The signed text is not that of this ballot.", help="Sign what GET /api/votes/message gives."
            )
        return found[1]


def is_ballot(text: str) -> bool:
    """Whether a text claims to be a ballot's, rather than one of the older proofs."""
    return text.startswith(_HEADING)
