"""Defines the schemas of transactions to sign and of ballots.

Amounts are accepted as numbers or as text, because most clients lose the precision of a number beyond 2**53.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, UnsetType

from .answer import BallotKind, Category, Exact, Instant, Integer, Side
from .auth import SignatureText, SignedBytes, WalletAddress
from .markets import Market

MarketIdText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        description="A market's 64 hexadecimal digits, or the address of its account.",
        examples=["01" * 32],
    ),
]
BallotMessage = Annotated[
    str, Meta(max_length=1_000, description="The text of GET /api/votes/message; this or signed_message.")
]
#: A u64; the range is checked where the field's name is known.
Amount = int | Annotated[str, Meta(max_length=20, pattern="^[0-9]+$")]
AnchoredHash = Annotated[
    str,
    Meta(min_length=46, max_length=46, pattern="^[!-~]{46}$", description="A CIDv0, exactly 46 characters."),
]


OutcomeChoice = Annotated[
    Side | bool, Meta(description="YES or NO; true and false, which earlier clients send, mean the same.")
]


def is_yes(outcome: OutcomeChoice) -> bool:
    """Return whether a request's outcome is YES."""
    return outcome == "YES" if isinstance(outcome, str) else outcome


class BuyShares(Struct, kw_only=True):
    """A purchase: of `shares` for at most `max_cost`, or of the shares that `max_cost` buys."""

    market_id: MarketIdText
    outcome: OutcomeChoice
    max_cost: Annotated[Amount, Meta(description="The most you pay in lamports, fees included.")]
    shares: (
        Annotated[Amount, Meta(description="Nine decimals; at least 1000000. Default: the shares that max_cost buys.")]
        | UnsetType
    ) = msgspec.UNSET


class SellShares(Struct, kw_only=True):
    """A sale of `shares` for at least `min_proceeds`."""

    market_id: MarketIdText
    outcome: OutcomeChoice
    shares: Annotated[Amount, Meta(description="Nine decimals; at least 1000000.")]
    min_proceeds: Annotated[Amount, Meta(description="The least you receive in lamports, after fees.")] = 0


class CreateMarket(Struct, kw_only=True):
    """A new market. The content id of its text is anchored on chain, so the text cannot change."""

    question: Annotated[str, Meta(min_length=10, max_length=200)]
    category: Category
    end_date: datetime.datetime
    liquidity: Annotated[
        Amount, Meta(description="Lamports, at least 1000000000; declared, not paid (protocol.md 1.4.2).")
    ]
    b_parameter: (
        Annotated[
            Amount,
            Meta(description="Lamports. Default: the liquidity, and at least the 100 SOL that trading requires."),
        ]
        | UnsetType
    ) = msgspec.UNSET
    description: Annotated[str, Meta(max_length=2_000)] | None = None
    tags: Annotated[list[Annotated[str, Meta(min_length=1, max_length=50)]], Meta(max_length=10)] = []
    market_id: (
        Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="Your own id; random by default.")] | UnsetType
    ) = msgspec.UNSET


class ResolveMarket(Struct, kw_only=True):
    """A proposed outcome and its evidence."""

    outcome: OutcomeChoice | None
    ipfs_evidence_hash: AnchoredHash


class VoteOnProposal(Struct, kw_only=True):
    """A vote on a proposal."""

    approve: Annotated[bool, Meta(description="true likes it.")]


class VoteOnDispute(Struct, kw_only=True):
    """A vote on a dispute."""

    support_dispute: Annotated[bool, Meta(description="true agrees with the dispute.")] = msgspec.field(
        name="supportDispute"
    )


class CastBallot(Struct, kw_only=True):
    """A ballot and its proof: the signed text of GET /api/votes/message."""

    market_id: MarketIdText
    vote: Annotated[bool, Meta(description="proposal: true likes it; dispute: true agrees with the dispute.")]
    message: BallotMessage | UnsetType = msgspec.UNSET
    signed_message: SignedBytes | UnsetType = msgspec.UNSET
    signature: SignatureText
    wallet: WalletAddress


class _NamedBallot(Struct, kw_only=True):
    """A ballot on the market in the path, in the format of the earlier vote aggregator (protocol.md 4.2)."""

    signature: SignatureText
    public_key: WalletAddress = msgspec.field(name="publicKey")
    message: BallotMessage | UnsetType = msgspec.UNSET
    signed_message: SignedBytes | UnsetType = msgspec.UNSET


class ProposalBallot(_NamedBallot, kw_only=True):
    """A ballot on a proposal."""

    vote: Literal["like", "dislike"]


class DisputeBallot(_NamedBallot, kw_only=True):
    """A ballot on a dispute; agree is against the proposed outcome."""

    vote: Literal["agree", "disagree"]


class RecordedBallot(Struct, kw_only=True):
    """A recorded ballot."""

    success: Literal[True]
    vote_id: Annotated[str, Meta(description="PV- or DV- and the seq of the ballot's log entry.")] = msgspec.field(
        name="voteId"
    )
    market_id: str = msgspec.field(name="marketId")
    vote: Literal["like", "dislike", "agree", "disagree"]
    timestamp: Instant


class Simulation(Struct, kw_only=True):
    """The result of the simulation."""

    slot: Annotated[int, Meta(description="The chain's slot at which it succeeded.")]
    units_consumed: Annotated[int, Meta(description="Compute units.")]


class TransactionToSign(Struct, kw_only=True):
    """A transaction for a wallet to sign, simulated on the current state of the chain."""

    message: str
    unsigned_transaction: Annotated[str, Meta(description="base64; versioned, with zeros for its signatures.")]
    signers: Annotated[list[str], Meta(description="The wallets that must sign, the payer first.")]
    blockhash: str
    last_valid_block_height: Annotated[int, Meta(description="The block height after which it can no longer land.")]
    expires_in_seconds: Annotated[
        int,
        Meta(
            description="About how long that is, by the measured slot length: some 30 s where a slot takes 0.2 s. "
            "Prepare it again when 20 s of it are gone before the wallet is asked."
        ),
    ]
    fee_lamports: Annotated[
        Integer, Meta(description="The fee in lamports, without the amounts that the instruction moves.")
    ]
    simulation: Simulation
    transaction: Annotated[None, Meta(description="Its signature, once you have signed it; null here.")] = None
    explorer: Annotated[None, Meta(description="null until it is sent.")] = None


class ProposedTrade(Struct, kw_only=True):
    """The result of the trade at the current state, to the lamport."""

    market_id: str
    on_chain_address: str
    user_wallet: str
    trade_type: Literal["buy", "sell"]
    outcome: Side
    outcome_bool: Annotated[bool, Meta(description="true for YES.")]
    shares: int
    shares_exact: Exact
    cost: Annotated[int, Meta(description="Lamports paid or received, fees included.")]
    cost_exact: Exact
    limit_exact: Annotated[
        Integer, Meta(description="The argument of the instruction: target_cost or min_proceeds, in lamports.")
    ]
    protocol_fee_exact: Integer
    resolver_fee_exact: Integer
    lp_fee_exact: Integer
    new_price_yes_exact: Annotated[Integer, Meta(description="Nine decimals.")]
    slot: Annotated[int, Meta(description="The slot of the market state that the numbers are based on.")]


class UnsignedTrade(TransactionToSign, kw_only=True):
    """A trade to sign."""

    trade: ProposedTrade


class ProposedMarket(Struct, kw_only=True):
    """A market that its transaction will create."""

    id: str
    on_chain_address: str
    question: str
    description: str | None
    category: Category
    tags: list[str]
    state: Literal["PROPOSED"]
    creator_wallet: str
    b_parameter: int
    b_parameter_exact: Exact
    initial_liquidity: int
    initial_liquidity_exact: Exact
    end_date: Instant
    ipfs_question_hash: Annotated[str, Meta(description="The content id of metadata_document.")]
    is_tradable: Annotated[bool, Meta(description="Whether b_parameter reaches the 100 SOL that trading requires.")]


class UnsignedMarket(TransactionToSign, kw_only=True):
    """A market's creation to sign."""

    market: ProposedMarket
    metadata_document: Annotated[str, Meta(description="The bytes whose content id is anchored; store or pin them.")]


class UnsignedOnMarket(TransactionToSign, kw_only=True):
    """A step of a market's life to sign."""

    market: Annotated[
        Market | None, Meta(description="The market as in GET /api/markets/{id}; null until the log contains it.")
    ]


_ENDINGS = (
    "processed: it is in a block that may still be skipped; with an error, this is provisional, so wait. failed: it "
    "landed, cost its fee and changed nothing else; its block is final. expired: it never landed or never ran, and "
    "never will, so it cost nothing; prepare it again."
)


class SignedTransaction(Struct, kw_only=True):
    """A signed transaction to relay."""

    transaction: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=8_000,
            description="base64 of the signed bytes: at most 1,232 of them, and 4,096 of a version-1 transaction.",
        ),
    ]
    last_valid_block_height: (
        Annotated[
            int,
            Meta(
                ge=0,
                description="That of the prepared transaction. With it, a transaction that can no longer land has the "
                "status expired.",
            ),
        ]
        | None
    ) = None


class RelayedTransaction(Struct, kw_only=True):
    """A relayed transaction."""

    message: str
    signature: str
    status: Annotated[
        Literal["sent", "processed", "confirmed", "finalized", "failed", "expired"], Meta(description=_ENDINGS)
    ]
    slot: int | None
    error: str | None
    transaction: Annotated[str, Meta(description="The same signature, under the name that older clients read.")]
    explorer: str


class TransactionEvent(Struct, kw_only=True):
    """An event of the transaction, from the log."""

    seq: int
    name: str
    market_id: str | None


class TransactionStatus(Struct, kw_only=True):
    """How far a transaction has progressed."""

    signature: str
    status: Annotated[
        Literal["processed", "confirmed", "finalized", "failed", "expired", "retracted"],
        Meta(description=f"{_ENDINGS} retracted: the chain dropped the block that contained it."),
    ]
    slot: int | None
    error: str | None
    source: Annotated[
        Literal["log", "chain"],
        Meta(description="The source of the status: the log, or the chain where the log does not decide it."),
    ]
    events: list[TransactionEvent]
    explorer: str


class BallotText(Struct, kw_only=True):
    """The text to sign for a ballot."""

    message: str
    nonce: str
    expires_at: Instant


class CastVote(Struct, kw_only=True):
    """A recorded ballot."""

    seq: Annotated[int, Meta(description="The seq of its log entry.")]
    market_id: str
    user_wallet: str
    vote: bool
    voted_at: Instant
    tx_signature: None = None


class CastMetadata(Struct, kw_only=True):
    """The message about a ballot, as in the earlier backend."""

    message: str
    market_id: str
    vote_type: BallotKind
    user_wallet: str


class CastVotes(Struct, kw_only=True):
    """The ballot that was cast."""

    data: list[CastVote]
    count: int
    metadata: CastMetadata
