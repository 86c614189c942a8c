"""Keepers: what nobody's wallet will do by itself is decided here, proven, signed and seen through.

    tasks       the five of them, and which instruction, key and event each stands for
    plans       deciding: rows of the log and settings in, rows of a plan out, each with its reason      pure
    proofs      what must hold of a row before it is signed: its account, its vote records               pure
    outcomes    what every error means for the one who signed                                            pure
    fees        what a transaction may cost                                                              pure
    endings     what became of signed bytes: resend, landed, failed, expired, or not known yet           pure
    door        keys, roles and cluster, asked before anything else
    books       what is intended and what was signed, in Postgres, under a lease
    view        everything a plan is made from, read at one place of the chain
    flight      from a row of a plan to bytes that landed
    sweep       from bytes that were signed, by whomever, to an ending
    rounds      one keeper's round: door, lease, sweep, view, plan, proofs, flight, sweep

Nothing here imports Dagster; `orchestration.assets.keepers` shows it in the UI, `python -m orchestration.keepers` on a
terminal, and both do the same. The rules are those of docs/keepers.md.
"""
