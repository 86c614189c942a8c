"""Models the market as pure values and functions: no library, no clock, no network.

Every function returns the same for the same arguments, so that the chain's own behaviour can be checked case by case,
and so that the ledger, the folds and the API use the same arithmetic.
"""
