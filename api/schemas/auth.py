"""Defines the schemas of signing in."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct, UnsetType

from .answer import Instant

WalletAddress = Annotated[
    str,
    Meta(
        min_length=32,
        max_length=44,
        description="A wallet's address in base58.",
        examples=["4MkybTASDtmzQnfUWztHmfgyHgBREw74eTKipVADqQLA"],
    ),
]
SignatureText = Annotated[
    str,
    Meta(min_length=64, max_length=100, description="An ed25519 signature of 64 bytes, in base58 (or base64)."),
]

SignedBytes = Annotated[
    str,
    Meta(
        max_length=8_000,
        description="The signed bytes in base64, as signIn and signMessage return them; also an off-chain envelope.",
    ),
]


class NonceToSign(Struct, kw_only=True):
    """The fields for a wallet's signIn, and their text if the wallet is known."""

    nonce: Annotated[str, Meta(description="Valid once, until expires_at.")]
    domain: Annotated[str, Meta(description="Host and port that the text must contain.")]
    uri: Annotated[str, Meta(description="The URI that the text must contain; it belongs to the domain.")]
    version: str
    chain_id: Annotated[str, Meta(description="mainnet, devnet or localnet.")]
    statement: str
    issued_at: Instant
    expires_at: Instant
    message: Annotated[
        str | None,
        Meta(description="The text to sign, for wallets that only sign messages; null unless `wallet` was given."),
    ]


class SignedMessage(Struct, kw_only=True):
    """The result of a wallet's signing: the signed text, as text or as bytes, and the signature."""

    wallet: WalletAddress
    signature: SignatureText
    message: (
        Annotated[str, Meta(max_length=4_000, description="The signed text; send this or signed_message.")] | UnsetType
    ) = msgspec.UNSET
    signed_message: SignedBytes | UnsetType = msgspec.UNSET


class RefreshToken(Struct, kw_only=True):
    """A refresh token to exchange or revoke."""

    refresh_token: Annotated[str, Meta(min_length=1, max_length=300)]


class Session(Struct, kw_only=True):
    """A wallet that is signed in, with its tokens."""

    wallet: WalletAddress
    access_token: Annotated[str, Meta(description="For Authorization: Bearer.")]
    token_type: Annotated[str, Meta(description="Always Bearer.")]
    expires_in: Annotated[int, Meta(description="Seconds until the access token expires.")]
    refresh_token: Annotated[str, Meta(description="Valid once, for the next pair of tokens.")]
    refresh_expires_at: Instant


class SignOutResult(Struct, kw_only=True):
    """The session is closed."""

    message: str


class Ticket(Struct, kw_only=True):
    """A ticket that opens one stream."""

    ticket: Annotated[str, Meta(description="Add it to the URL of one stream: ?ticket=...")]
    expires_in: Annotated[int, Meta(description="Seconds.")]
