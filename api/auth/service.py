"""Everything about signing in that a process has one of."""

from __future__ import annotations

import datetime
from typing import Final
from urllib.parse import urlsplit

from zmart.domain.ids import Address
from zmart.settings import LOOPBACK, Settings

from .. import errors, writes
from . import legacy, nonces, sessions, signatures, siws, tickets, tokens
from .keys import SigningKeys

_SIGN_IN_HELP: Final = "Send Authorization: Bearer with an access token; GET /api/auth/nonce begins."


class AuthService:
    """Says who is asking. Without JWT_SECRET nobody can sign in, and asking raises SignInOff."""

    def __init__(self, settings: Settings, wallet_writes: writes.WalletWrites) -> None:
        secrets = settings.api.jwt_secrets
        self.legacy = settings.api.legacy_auth
        self.chain_id = settings.chain.cluster.value
        #: Where people sign in from, host and port to address: CORS_ORIGINS, and the API itself where it is local.
        self.sites = _sites(settings)
        self.nonces = nonces.Nonces(SigningKeys(secrets, "nonce"))
        self.tokens = tokens.Tokens(SigningKeys(secrets, "access"))
        self.tickets = tickets.Tickets(
            tokens.Tokens(
                SigningKeys(secrets, "ticket"), audience=tickets.STREAM, lifetime_seconds=tickets.LIFETIME_SECONDS
            ),
            wallet_writes,
        )
        self.sessions = sessions.Sessions(wallet_writes)

    def wallet_of(self, token: str) -> Address:
        """The wallet of an access token; NotSignedIn or TokenExpired where it is nobody's."""
        return self.tokens.wallet_of(token)

    async def verify(self, wallet: Address, signed: bytes, signature: str) -> sessions.IssuedRefreshToken:
        """Sign in the wallet that signed this text; NotSignedIn says which part of the proof fails."""
        signatures.require(wallet, signed, signature)
        message = siws.parse(signed)
        siws.require(
            message,
            siws.ExpectedFields(
                wallet=wallet,
                domains=self.sites,
                chain_id=self.chain_id,
                now=datetime.datetime.now(datetime.UTC),
            ),
        )
        return await self.sessions.open(wallet, self.nonces.check(message.nonce or ""))

    def claims_of_header(self, authorization: str) -> tokens.Claims | None:
        """What the access token in an Authorization header says, None where there is none; NotSignedIn as of tokens."""
        scheme, _, credentials = authorization.partition(" ")
        return self.tokens.claims_of(credentials.strip()) if scheme.lower() == "bearer" else None

    def wallet_of_header(self, authorization: str) -> Address:
        """The wallet behind an older proof in an Authorization header; NotSignedIn where it proves none."""
        proof = legacy.proof_of_header(authorization) if self.legacy else None
        if proof is None:
            raise errors.NotSignedIn("This Authorization header proves nothing here.", help=_SIGN_IN_HELP)
        return legacy.wallet_of_header(proof)

    def wallet_of_body(self, body: bytes) -> Address:
        """The wallet that signed for a request in its body; NotSignedIn where none did, or LEGACY_AUTH is off."""
        proof = legacy.proof_of_body(body) if self.legacy else None
        if proof is None:
            reason = "message, signature, and wallet must be provided" if self.legacy else "nobody is signed in"
            raise errors.NotSignedIn(f"Authentication required: {reason}", help=_SIGN_IN_HELP)
        return legacy.wallet_of_body(proof)


def _sites(settings: Settings) -> dict[str, str]:
    local_sites = [f"http://{host}:{settings.ports.api}" for host in LOOPBACK] if settings.hosts.api in LOOPBACK else []
    origins = [origin for origin in [*settings.api.cors_origins, *local_sites] if urlsplit(origin).netloc]
    return {urlsplit(origin).netloc: origin for origin in origins}
