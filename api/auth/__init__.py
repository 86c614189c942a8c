"""Who is asking, and how they prove it.

A wallet signs one text (`siws`, Sign-In With Solana) around a nonce of ours (`nonces`) and gets an
access token for fifteen minutes (`tokens`) and a refresh token that is used once (`sessions`). For a
stream, which takes no header in a browser, it gets a ticket that is used once (`tickets`). The two
older forms, a signature with every request, are in `legacy`. `signed_in` is what handlers are given.
"""
