"""Everything about signing in that a process has one of."""

from __future__ import annotations

import datetime
from typing import Final
from urllib.parse import urlsplit

from zmart.domain.ids import Address
from zmart.settings import LOOPBACK, Settings

from .. import errors, writes
from . import legacy, nonces, sessions, signatures, siws, tickets, tokens
from .keys import Keys

_HOW: Final = "Send Authorization: Bearer with an access token; GET /api/auth/nonce begins."


class Gate:
    """Says who is asking. Without JWT_SECRET nobody can sign in, and asking raises SignInOff."""

    def __init__(self, settings: Settings, written: writes.Writes) -> None:
        secrets = settings.api.jwt_secrets
        self.legacy = settings.api.legacy_auth
        self.chain_id = settings.chain.cluster.value
        #: Where people sign in from, host and port to address: CORS_ORIGINS, and the API itself where it is local.
        self.sites = _sites(settings)
        self.nonces = nonces.Nonces(Keys(secrets, "nonce"))
        self.tokens = tokens.Tokens(Keys(secrets, "access"))
        self.tickets = tickets.Tickets(
            tokens.Tokens(Keys(secrets, "ticket"), audience=tickets.STREAM, lifetime_seconds=tickets.LIFETIME_SECONDS),
            written,
        )
        self.sessions = sessions.Sessions(written)

    def wallet_of(self, token: str) -> Address:
        """The wallet of an access token; NotSignedIn or TokenExpired where it is nobody's."""
        return self.tokens.wallet_of(token)

    async def verify(self, wallet: Address, signed: bytes, signature: str) -> sessions.Refresh:
        """Sign in the wallet that signed this text; NotSignedIn says which part of the proof fails."""
        signatures.require(wallet, signed, signature)
        message = siws.parse(signed)
        siws.require(
            message,
            siws.Expected(
                wallet=wallet,
                domains=self.sites,
                chain_id=self.chain_id,
                now=datetime.datetime.now(datetime.UTC),
            ),
        )
        return await self.sessions.open(wallet, self.nonces.check(message.nonce or ""))

    def claims_of_header(self, authorization: str) -> tokens.Claims | None:
        """What the access token in an Authorization header says, None where there is none; NotSignedIn as of tokens."""
        scheme, _, rest = authorization.partition(" ")
        return self.tokens.claims_of(rest.strip()) if scheme.lower() == "bearer" else None

    def wallet_of_header(self, authorization: str) -> Address:
        """The wallet behind an older proof in an Authorization header; NotSignedIn where it proves none."""
        proof = legacy.in_header(authorization) if self.legacy else None
        if proof is None:
            raise errors.NotSignedIn("This Authorization header proves nothing here.", help=_HOW)
        return legacy.wallet_of_header(proof)

    def wallet_of_body(self, body: bytes) -> Address:
        """The wallet that signed for a request in its body; NotSignedIn where none did, or LEGACY_AUTH is off."""
        proof = legacy.in_body(body) if self.legacy else None
        if proof is None:
            said = "message, signature, and wallet must be provided" if self.legacy else "nobody is signed in"
            raise errors.NotSignedIn(f"Authentication required: {said}", help=_HOW)
        return legacy.wallet_of_body(proof)


def _sites(settings: Settings) -> dict[str, str]:
    own = [f"http://{host}:{settings.ports.api}" for host in LOOPBACK] if settings.hosts.api in LOOPBACK else []
    origins = [origin for origin in [*settings.api.cors_origins, *own] if urlsplit(origin).netloc]
    return {urlsplit(origin).netloc: origin for origin in origins}
