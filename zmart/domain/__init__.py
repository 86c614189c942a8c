"""The market itself, as pure values and functions: no library, no clock, no network.

Everything here answers the same for the same arguments, so that the chain's own behaviour can be
checked case by case, and so that the ledger, the folds and the API speak of one arithmetic.
"""
