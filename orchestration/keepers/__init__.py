"""Keepers submit maintenance transactions of the program: plan, verify, simulate, sign, send and confirm.

    actions            the five keepers, and the instruction, key and event of each
    plans              decides: rows of the log and settings in, rows of a plan with reasons out      pure
    reasons            the verdicts of a plan's row and the reasons for them                          pure
    proofs             checks a row before it is signed: market account, vote records, configuration  pure
    error_policy       maps every error to the next action of a keeper                                pure
    fees               computes the compute unit limit and the priority fee of a transaction          pure
    submission_status  derives the state of a submission: resend, wait, landed, failed or expired     pure
    preflight          checks keys, roles and cluster before every run
    intent_store       stores intents and signed transactions in Postgres, under a lease
    chain_state        reads the input of a plan at one slot of the chain
    submit             turns a row of a plan into a landed transaction
    sweep              resends or closes transactions that are already signed
    runner             runs one round of a keeper: preflight, lease, sweep, plan, proofs, submit, sweep
    report             renders a round as tables

Nothing here imports Dagster. `orchestration.assets.keepers` shows the keepers in the UI and `python -m
orchestration.keepers` runs them on a terminal; both do the same. docs/keepers.md has the rules.
"""
