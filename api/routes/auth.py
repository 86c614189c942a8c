"""Signs wallets in and out, refreshes their sessions, and issues stream tickets."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.datastructures import State
from litestar.params import QueryParameter

from zmart.domain.ids import Address

from .. import parameters, response_docs
from ..auth import sessions, signatures, siws, tickets, tokens
from ..auth.nonces import Nonce
from ..auth.service import AuthService
from ..auth.signed_in import SECURITY, FromSignedIn
from ..dependencies import FromAuth
from ..schemas import auth as shapes

WalletToName = Annotated[
    str | None,
    QueryParameter(description="The wallet that will sign; with it, the response contains the text to sign."),
]


@get(
    "/api/auth/nonce",
    tags=["auth"],
    summary="Get a text to sign for sign-in",
    responses=response_docs.problems(),
)
async def show_nonce(
    request: Request[Any, Any, State], auth: FromAuth, wallet: WalletToName = None
) -> shapes.NonceToSign:
    """Return the fields for Sign-In With Solana, valid for five minutes and one sign-in. Sign-in starts here."""
    nonce = auth.nonces.issue()
    domain, uri = auth.site_of_request(request)
    message = None if wallet is None else str(_message(parameters.wallet(wallet), auth, nonce, domain, uri))
    return shapes.NonceToSign(
        nonce=nonce.text,
        domain=domain,
        uri=uri,
        version=siws.VERSION,
        chain_id=auth.chain_id,
        statement=siws.STATEMENT,
        issued_at=nonce.issued_at,
        expires_at=nonce.expires_at,
        message=message,
    )


@post(
    ["/api/auth/verify", "/api/auth/login"],
    tags=["auth"],
    summary="Sign in",
    status_code=200,
    responses=response_docs.problems(401),
)
async def sign_in(auth: FromAuth, data: shapes.SignedMessage) -> shapes.Session:
    """Exchange a signed text for tokens. Every field of the text is checked, and its nonce is single use."""
    wallet = parameters.wallet(data.wallet)
    refresh = await auth.verify(wallet, signatures.signed_bytes(data.message, data.signed_message), data.signature)
    return _session(auth, wallet, refresh)


@post(
    "/api/auth/refresh",
    tags=["auth"],
    summary="Refresh a session",
    status_code=200,
    responses=response_docs.problems(401),
)
async def refresh_session(auth: FromAuth, data: shapes.RefreshToken) -> shapes.Session:
    """Exchange a refresh token for the next pair of tokens. A second use of one ends the session."""
    wallet, refresh = await auth.sessions.rotate(data.refresh_token)
    return _session(auth, wallet, refresh)


@post(
    "/api/auth/logout",
    tags=["auth"],
    summary="Sign out",
    status_code=200,
    responses=response_docs.problems(401),
)
async def sign_out(auth: FromAuth, data: shapes.RefreshToken) -> shapes.SignOutResult:
    """End the session of this refresh token.

    Access tokens of the session, and streams opened with them, stay valid until their fifteen minutes are over.
    """
    was_open = await auth.sessions.close(data.refresh_token)
    return shapes.SignOutResult(message="Signed out." if was_open else "The session did not exist.")


@post(
    "/api/auth/ticket",
    tags=["auth"],
    summary="Create a ticket for one stream",
    security=SECURITY,
    opt={"scope": None},
    responses=response_docs.problems(401),
)
async def issue_ticket(auth: FromAuth, signed_in: FromSignedIn) -> shapes.Ticket:
    """Issue a single-use ticket, valid for sixty seconds, for EventSource and WebSocket, which send no headers.

    The topic `me` that it opens ends when the access token of this request expires, at most fifteen minutes later.
    """
    ticket = auth.tickets.issue(signed_in.wallet, signed_in.expires_at)
    return shapes.Ticket(ticket=ticket, expires_in=tickets.LIFETIME_SECONDS)


def _message(wallet: Address, auth: AuthService, nonce: Nonce, domain: str, uri: str) -> siws.SignInMessage:
    return siws.SignInMessage(
        domain=domain,
        address=wallet,
        statement=siws.STATEMENT,
        uri=uri,
        version=siws.VERSION,
        chain_id=auth.chain_id,
        nonce=nonce.text,
        issued_at=_format_instant(nonce.issued_at),
        expiration_time=_format_instant(nonce.expires_at),
    )


def _format_instant(instant: datetime.datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _session(auth: AuthService, wallet: Address, refresh: sessions.IssuedRefreshToken) -> shapes.Session:
    return shapes.Session(
        wallet=wallet,
        access_token=auth.tokens.issue(wallet),
        token_type="Bearer",  # noqa: S106 - the scheme's name
        expires_in=tokens.LIFETIME_SECONDS,
        refresh_token=refresh.token,
        refresh_expires_at=refresh.expires_at,
    )


HANDLERS = [show_nonce, sign_in, refresh_session, sign_out, issue_ticket]
