"""Stores market metadata from creators, because events contain no question (protocol.md 1.4.2)."""

from __future__ import annotations

from litestar import post

from zmart import errors as zmart_errors
from zmart.domain import ids, questions

from .. import parameters, response_docs, schemas, writes
from ..auth.signed_in import SECURITY, FromSignedIn


@post(
    "/api/markets/{market:str}/metadata",
    tags=["markets"],
    summary="Set a market's metadata",
    security=SECURITY,
    responses=response_docs.problems(401, 403, 404, 409, 413),
    opt={"weight": 10},
)
async def set_market_metadata(
    signed_in: FromSignedIn, market: parameters.MarketName, data: schemas.NewMetadata
) -> schemas.MetadataResult:
    """Store the metadata, before or after the market is created; only the creator's is accepted or shown.

    A market that was created with a content id accepts only exactly the text of that document. The path needs the
    market's id of 64 hexadecimal digits.
    """
    question = questions.MarketQuestion(
        market_id=_market_id(market),
        creator=signed_in.wallet,
        question=data.question,
        description=data.description,
        category=data.category,
        tags=tuple(data.tags),
        ends_at=data.end_date,
    )
    row = await signed_in.run(
        writes.statement("set_market_metadata"),
        {
            "market_id": question.market_id,
            "question": question.question,
            "description": question.description,
            "category": question.category,
            "tags": list(question.tags),
            "ends_at": question.ends_at,
            "question_cid": question.cid,
        },
    )
    return schemas.MetadataResult(
        message="Metadata recorded",
        market_id=question.market_id,
        question_cid=question.cid,
        seq=row[0] if row else None,
    )


def _market_id(text: str) -> ids.MarketId:
    try:
        return ids.parse_market_id(text)
    except zmart_errors.InvalidInput:
        raise zmart_errors.NotFound(parameters.market_not_found_message(text)) from None


HANDLERS = [set_market_metadata]
