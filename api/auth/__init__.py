"""Authenticates wallets.

A wallet signs one text (`siws`, Sign-In With Solana) that contains a nonce of this API (`nonces`). It receives an
access token for fifteen minutes (`tokens`) and a single-use refresh token (`sessions`). Streams cannot send a header
in a browser, so the wallet gets a single-use ticket for them (`tickets`). The two older forms, a signature with every
request, are in `legacy`. `signed_in` provides the authenticated wallet to handlers.
"""
