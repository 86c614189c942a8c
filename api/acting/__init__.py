"""Acting on chain for wallets whose keys we never see.

We put a transaction together from what the chain holds now, try it out (`preparing`), and hand it over
unsigned. The wallet signs it and sends it itself or through us (`relaying`). Nothing here writes a
market's state: what happened comes back through the log.
"""
