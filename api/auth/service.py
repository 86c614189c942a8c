"""Bundles the sign-in objects that a process has one of: nonces, tokens, tickets and sessions."""

from __future__ import annotations

import datetime
import hmac
from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Request
from litestar.datastructures import State

from zmart.domain.ids import Address
from zmart.settings import LOOPBACK, Settings

from .. import errors, writes
from . import api_keys, legacy, nonces, sessions, signatures, siws, tickets, tokens
from .keys import SigningKeys

_SIGN_IN_HELP: Final = "Send Authorization: Bearer with an access token; sign-in starts at GET /api/auth/nonce."


class AuthService:
    """Authenticates callers. Without JWT_SECRET sign-in is disabled, and every token or nonce raises SignInDisabled."""

    def __init__(self, settings: Settings, wallet_writes: writes.WalletWrites, keys: api_keys.ApiKeys) -> None:
        secrets = settings.api.jwt_secrets
        self.legacy = settings.api.legacy_auth
        self.chain_id = settings.chain.cluster.value
        #: Sites that users sign in from, host and port to origin: CORS_ORIGINS, and the API itself if it is local.
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
        self.api_keys = keys
        token = settings.api.metrics_token
        self._metrics_authorization = f"Bearer {token.reveal()}".encode() if token else None
        self._operators = settings.api.operator_wallets
        self._moderators = settings.api.moderator_wallets

    def site_of_request(self, request: Request[Any, Any, State]) -> tuple[str, str]:
        """Return domain and URL of the requesting site if users may sign in from it; else of the first such site."""
        origin = request.headers.get("origin")
        # urlsplit raises on some values that a client can send here, such as http://[::1
        domain = origin.partition("://")[2] if origin else request.headers.get("host", "")
        if domain not in self.sites:
            domain = next(iter(self.sites))
        return domain, self.sites[domain]

    def is_operator(self, authorization: str) -> bool:
        """Return whether a bearer token is METRICS_TOKEN, or an access token of a wallet of OPERATOR_WALLETS."""
        presented = authorization.encode("latin-1", "replace")
        if self._metrics_authorization and hmac.compare_digest(presented, self._metrics_authorization):
            return True
        try:
            claims = self.claims_of_header(authorization) if self._operators else None
        except (errors.NotSignedIn, errors.SignInDisabled):
            return False
        return claims is not None and claims.wallet in self._operators

    def is_moderator(self, wallet: Address) -> bool:
        """Return whether MODERATOR_WALLETS names this wallet."""
        return wallet in self._moderators

    def wallet_of(self, token: str) -> Address:
        """Return the wallet of an access token; raise NotSignedIn or TokenExpired if the token is not valid."""
        return self.tokens.wallet_of(token)

    async def verify(self, wallet: Address, signed: bytes, signature: str) -> sessions.IssuedRefreshToken:
        """Sign in the wallet that signed this text; raise NotSignedIn, which names the part of the proof that fails."""
        message = siws.parse(signatures.require(wallet, signed, signature).text)
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

    async def claims_of_key_in_header(self, authorization: str) -> api_keys.KeyClaims | None:
        """Return the claims of an API key in an Authorization header, None if it has none; raise NotSignedIn."""
        scheme, _, credentials = authorization.partition(" ")
        key = credentials.strip()
        if scheme.lower() != "bearer" or not api_keys.is_api_key(key):
            return None
        return await self.api_keys.claims_of(key)

    def claims_of_header(self, authorization: str) -> tokens.Claims | None:
        """Return the claims of a bearer token in an Authorization header, None for other schemes; raise NotSignedIn."""
        scheme, _, credentials = authorization.partition(" ")
        return self.tokens.claims_of(credentials.strip()) if scheme.lower() == "bearer" else None

    def wallet_of_header(self, authorization: str) -> Address:
        """Return the wallet of an older proof in an Authorization header; raise NotSignedIn if it is not valid."""
        proof = legacy.proof_of_header(authorization) if self.legacy else None
        if proof is None:
            raise errors.NotSignedIn("This Authorization header is not accepted here.", help=_SIGN_IN_HELP)
        return legacy.verify_header(proof).wallet

    def wallet_of_body(self, body: bytes) -> Address:
        """Return the wallet that signed in the request body; raise NotSignedIn if none did or LEGACY_AUTH is off."""
        proof = legacy.proof_of_body(body) if self.legacy else None
        if proof is None:
            reason = (
                "message, signature, and wallet must be provided" if self.legacy else "the request has no valid token"
            )
            raise errors.NotSignedIn(f"Authentication required: {reason}", help=_SIGN_IN_HELP)
        return legacy.verify_body(proof).wallet


def _sites(settings: Settings) -> dict[str, str]:
    local_sites = [f"http://{host}:{settings.ports.api}" for host in LOOPBACK] if settings.hosts.api in LOOPBACK else []
    origins = [origin for origin in [*settings.api.cors_origins, *local_sites] if urlsplit(origin).netloc]
    return {urlsplit(origin).netloc: origin for origin in origins}
