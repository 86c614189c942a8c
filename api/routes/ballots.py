"""Accepts ballots off chain, and builds votes on chain to sign.

A ballot through the API is one signed text (see `ballots`). It needs no token, because the signature is the proof.
While LEGACY_AUTH is on, the older proofs, which name neither market nor choice, are accepted for proposals as well.
They are never accepted for disputes, because disputes decide about money.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Final

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.params import QueryParameter

from zmart import errors as zmart_errors
from zmart.domain.ids import Address

from .. import ballots, errors, legacy_errors, parameters, response_docs, schemas, writes
from ..auth import legacy, signatures
from ..auth.signed_in import SECURITY, FromSignedIn
from ..dependencies import AppServices, FromDatabase, FromPreparer, FromServices
from ..reads import statements
from ..reads.database import ReadDatabase
from ..schemas import acting as shapes
from . import acting

#: Allows 10 ballots per minute of the usual 100.
_WEIGHT: Final = {"weight": 10}
_TO_SIGN: Final = {"weight": 10, "scope": "trade"}
#: Proofs that are bound to this server, unlike the older ones.
_BOUND: Final = ("token", "key")
#: Prefixes of ballot ids in the earlier vote aggregator.
_ID_PREFIXES: Final[dict[ballots.Kind, str]] = {"proposal": "P", "dispute": "D"}
_BALLOT_TEXT_REQUIRED: Final = "A dispute ballot needs a signed text that names it: see GET /api/votes/message."

MarketQuery = Annotated[str, QueryParameter(max_length=100, description="The market's id or account.")]
KindQuery = Annotated[schemas.BallotKind, QueryParameter(description="The kind of the ballot.")]
VoteQuery = Annotated[bool, QueryParameter(description="proposal: true likes; dispute: true agrees with the dispute.")]
SignerQuery = Annotated[str, QueryParameter(max_length=44, description="The wallet that will sign.")]


@get(
    "/api/votes/message",
    tags=["acting"],
    summary="Get the text to sign for a ballot",
    responses=response_docs.problems(404),
)
async def show_ballot_text(
    request: Request[Any, Any, State],
    services: FromServices,
    market_id: MarketQuery,
    kind: KindQuery,
    vote: VoteQuery,
    wallet: SignerQuery,
) -> shapes.BallotText:
    """Return a text with its own nonce, valid for five minutes and one ballot."""
    nonce = services.auth.nonces.issue()
    ballot = _ballot(services, parameters.market(market_id), kind, vote, parameters.wallet(wallet))
    return shapes.BallotText(
        message=ballot.text(services.auth.site_of_request(request)[0], nonce.text),
        nonce=nonce.text,
        expires_at=nonce.expires_at,
    )


@post(
    "/api/votes/proposal",
    tags=["acting"],
    summary="Cast a ballot on a proposal",
    opt=_WEIGHT,
    exception_handlers=legacy_errors.PROOF_HANDLERS,
    responses=response_docs.problems(401, 403, 404, 409),
)
async def cast_proposal_ballot(services: FromServices, data: shapes.CastBallot) -> shapes.CastVotes:
    """Cast one ballot per wallet; a second ballot, or one in addition to a vote on chain, returns 409."""
    return await _cast(services, "proposal", data)


@post(
    "/api/votes/dispute",
    tags=["acting"],
    summary="Cast a ballot on a dispute",
    opt=_WEIGHT,
    exception_handlers=legacy_errors.PROOF_HANDLERS,
    responses=response_docs.problems(401, 403, 404, 409),
)
async def cast_dispute_ballot(services: FromServices, data: shapes.CastBallot) -> shapes.CastVotes:
    """Cast one ballot per wallet; true agrees with the dispute, and so votes against the proposed outcome."""
    return await _cast(services, "dispute", data)


@post(
    "/api/markets/{market:str}/vote",
    tags=["acting"],
    summary="Build a proposal vote to sign",
    security=SECURITY,
    opt=_TO_SIGN,
    status_code=200,
    responses=response_docs.problems(401, 403, 404, 409),
)
async def vote_on_proposal(
    request: Request[Any, Any, State],
    services: FromServices,
    preparer: FromPreparer,
    database: FromDatabase,
    signed_in: FromSignedIn,
    market: parameters.MarketName,
    data: shapes.VoteOnProposal,
) -> shapes.UnsignedOnMarket | shapes.CastVotes:
    """Return a vote on chain to sign (with a token), or cast a ballot at once (with an older proof, LEGACY_AUTH)."""
    if signed_in.proof_kind in _BOUND:
        return await acting.vote_on_chain(
            "submit_proposal_vote", preparer, database, signed_in.wallet, market, data.approve
        )
    return await _cast_by_legacy_proof(services, parameters.market(market), data.approve, await _legacy_proof(request))


@post(
    "/api/markets/{market:str}/dispute/vote",
    tags=["acting"],
    summary="Build a dispute vote to sign",
    security=SECURITY,
    opt=_TO_SIGN,
    status_code=200,
    responses=response_docs.problems(401, 403, 404, 409),
)
async def vote_on_dispute(
    preparer: FromPreparer,
    database: FromDatabase,
    signed_in: FromSignedIn,
    market: parameters.MarketName,
    data: shapes.VoteOnDispute,
) -> shapes.UnsignedOnMarket:
    """Return a vote on chain to sign. The older proofs are not enough to vote on a dispute."""
    if signed_in.proof_kind not in _BOUND:
        raise errors.Forbidden(_BALLOT_TEXT_REQUIRED)
    return await acting.vote_on_chain(
        "submit_dispute_vote", preparer, database, signed_in.wallet, market, data.support_dispute
    )


@get(
    "/api/votes/proposal/{market:str}",
    tags=["markets"],
    summary="Get a proposal's tally",
    exception_handlers=legacy_errors.AGGREGATOR_HANDLERS,
    responses=response_docs.read_responses(404),
)
async def count_proposal_votes(
    database: FromDatabase, market: parameters.MarketName
) -> Response[schemas.ProposalCounts]:
    """Return the tally in the earlier vote aggregator's format; GET /api/votes/{market} has both kinds."""
    return await _tally_response(database, market, "proposal")


@get(
    "/api/votes/dispute/{market:str}",
    tags=["markets"],
    summary="Get a dispute's tally",
    exception_handlers=legacy_errors.AGGREGATOR_HANDLERS,
    responses=response_docs.read_responses(404),
)
async def count_dispute_votes(database: FromDatabase, market: parameters.MarketName) -> Response[schemas.DisputeCounts]:
    """Return the tally in the earlier vote aggregator's format; GET /api/votes/{market} has both kinds."""
    return await _tally_response(database, market, "dispute")


@post(
    "/api/votes/proposal/{market:str}",
    tags=["acting"],
    summary="Cast a ballot on the proposal in the path",
    opt=_WEIGHT,
    status_code=200,
    exception_handlers=legacy_errors.AGGREGATOR_HANDLERS,
    responses=response_docs.problems(401, 403, 404, 409),
)
async def cast_named_proposal_ballot(
    services: FromServices, database: FromDatabase, market: parameters.MarketName, data: shapes.ProposalBallot
) -> shapes.RecordedBallot:
    """Cast a ballot in the earlier vote aggregator's format; proof and rules are those of POST /api/votes/proposal."""
    return await _cast_named_ballot(services, database, "proposal", market, data)


@post(
    "/api/votes/dispute/{market:str}",
    tags=["acting"],
    summary="Cast a ballot on the dispute in the path",
    opt=_WEIGHT,
    status_code=200,
    exception_handlers=legacy_errors.AGGREGATOR_HANDLERS,
    responses=response_docs.problems(401, 403, 404, 409),
)
async def cast_named_dispute_ballot(
    services: FromServices, database: FromDatabase, market: parameters.MarketName, data: shapes.DisputeBallot
) -> shapes.RecordedBallot:
    """Cast a ballot in the earlier vote aggregator's format; proof and rules are those of POST /api/votes/dispute."""
    return await _cast_named_ballot(services, database, "dispute", market, data)


async def _tally_response(database: ReadDatabase, market: str, kind: ballots.Kind) -> Response[Any]:
    return await database.answer(
        statements.compose("vote_counts_of_kind"),
        {"market": parameters.market(market), "kind": kind},
        varying="market",
        missing=parameters.market_not_found_message(market),
    )


async def _cast_named_ballot(
    services: AppServices,
    database: ReadDatabase,
    kind: ballots.Kind,
    market: str,
    data: shapes.ProposalBallot | shapes.DisputeBallot,
) -> shapes.RecordedBallot:
    """Cast a ballot given in the earlier vote aggregator's format."""
    vote_by_word = {word: vote for vote, word in ballots.CHOICES[kind].items()}
    ballot = shapes.CastBallot(
        market_id=market,
        vote=vote_by_word[data.vote],
        message=data.message,
        signed_message=data.signed_message,
        signature=data.signature,
        wallet=data.public_key,
    )
    try:
        (cast,) = (await _cast(services, kind, ballot)).data
    except zmart_errors.Conflict:
        await _require_no_ballot(database, kind, ballot)
        raise
    return shapes.RecordedBallot(
        success=True,
        vote_id=f"{_ID_PREFIXES[kind]}V-{cast.seq}",
        market_id=market,
        vote=data.vote,
        timestamp=cast.voted_at,
    )


async def _require_no_ballot(database: ReadDatabase, kind: ballots.Kind, ballot: shapes.CastBallot) -> None:
    """Raise Conflict, in the earlier vote aggregator's words, if the ballot's wallet has voted already."""
    rows = await database.rows(
        statements.compose("ballot_of_wallet"),
        {"market": parameters.market(ballot.market_id), "kind": kind, "wallet": parameters.wallet(ballot.wallet)},
    )
    for (vote,) in rows:
        raise zmart_errors.Conflict(f"Already voted: {ballots.CHOICES[kind][vote]}")


async def _cast(services: AppServices, kind: ballots.Kind, data: shapes.CastBallot) -> shapes.CastVotes:
    wallet, market = parameters.wallet(data.wallet), parameters.market(data.market_id)
    signed = signatures.require(wallet, signatures.signed_bytes(data.message, data.signed_message), data.signature)
    proof = legacy.VerifiedProof(
        wallet, signatures.require_text(signed), signatures.canonical(data.signature), signed.envelope
    )
    if services.auth.legacy and not ballots.is_ballot(proof.text):
        if kind != "proposal":
            raise errors.Forbidden(_BALLOT_TEXT_REQUIRED)
        return await _cast_by_legacy_proof(services, market, data.vote, legacy.require_body(proof))
    # The signed text contains the market in the voter's own spelling.
    ballot = _ballot(services, data.market_id, kind, data.vote, wallet)
    nonce = services.auth.nonces.check(ballot.nonce_of(proof.text, services.auth.sites))
    return await _store_ballot(
        services, market, kind, data.vote, proof, nonce=nonce.text, nonce_expires_at=nonce.expires_at
    )


async def _cast_by_legacy_proof(
    services: AppServices, market: str, vote: bool, proof: legacy.VerifiedProof
) -> shapes.CastVotes:
    return await _store_ballot(services, market, "proposal", vote, proof, nonce=None, nonce_expires_at=None)


async def _store_ballot(
    services: AppServices,
    market: str,
    kind: ballots.Kind,
    vote: bool,
    proof: legacy.VerifiedProof,
    **nonce: object,
) -> shapes.CastVotes:
    row = await services.writes.run_as_wallet(
        proof.wallet,
        writes.statement("cast_ballot"),
        {
            "market": market,
            "kind": kind,
            "vote": vote,
            "message": proof.text,
            "signature": proof.signature,
            "envelope": proof.envelope,
            "eligibility": services.settings.voting.ballot_eligibility,
            **nonce,
        },
    )
    cast = shapes.CastVote(
        seq=row[0] if row else 0,
        market_id=market,
        user_wallet=proof.wallet,
        vote=vote,
        voted_at=datetime.datetime.now(datetime.UTC),
    )
    metadata = shapes.CastMetadata(
        message=f"Your {kind} vote has been recorded", market_id=market, vote_type=kind, user_wallet=proof.wallet
    )
    return shapes.CastVotes(data=[cast], count=1, metadata=metadata)


def _ballot(services: AppServices, market: str, kind: ballots.Kind, vote: bool, wallet: Address) -> ballots.Ballot:
    return ballots.Ballot(chain_id=services.auth.chain_id, market=market, kind=kind, vote=vote, wallet=wallet)


async def _legacy_proof(request: Request[Any, Any, State]) -> legacy.VerifiedProof:
    """Return the older proof of a request that was authenticated with it."""
    if (in_header := legacy.proof_of_header(request.headers.get("authorization", ""))) is not None:
        return legacy.verify_header(in_header)
    if (in_body := legacy.proof_of_body(await request.body())) is not None:
        return legacy.verify_body(in_body)
    raise errors.NotSignedIn()


HANDLERS = [
    show_ballot_text,
    cast_proposal_ballot,
    cast_dispute_ballot,
    vote_on_proposal,
    vote_on_dispute,
    count_proposal_votes,
    count_dispute_votes,
    cast_named_proposal_ballot,
    cast_named_dispute_ballot,
]
