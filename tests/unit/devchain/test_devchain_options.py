"""The options of `python -m devchain`, from its command line and the settings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from devchain.__main__ import chain_options, parser
from devchain.cluster import ClusterProfile
from devchain.service import Options
from zmart import settings


def options_of(*arguments: str, **environ: str) -> Options:
    """The options of a command line in an environment."""
    return chain_options(parser().parse_args(arguments), settings.load(environ).devchain)


def test_nothing_set_is_mainnet() -> None:
    """The cluster of the settings' defaults is the cluster of the code's defaults."""
    options = options_of()
    # Providers serve pages with bodies; a node of Agave does not.
    assert options.cluster == dataclasses.replace(ClusterProfile(), lists_bodies=True)
    assert (options.tempo.v1_percent, options.tempo.vault_percent, options.skipped_percent) == (15, 3, 0)
    assert options.webhook_index == "within-block"


def test_every_switch_reaches_the_chain() -> None:
    """Consensus, slots, node, rent, index, and the shares of the traffic."""
    options = options_of(
        DEVCHAIN_CONSENSUS="tower",
        DEVCHAIN_SLOT_MS="400",
        DEVCHAIN_NODE_VERSION="3.9.1",
        DEVCHAIN_TRANSACTION_INDEX="false",
        DEVCHAIN_WEBHOOK_INDEX="both",
        DEVCHAIN_RENT_PER_BYTE="6960",
        DEVCHAIN_V1_PERCENT="20",
        DEVCHAIN_VAULT_PERCENT="1",
        DEVCHAIN_UNEXECUTED_PERCENT="2",
        DEVCHAIN_SKIPPED_PERCENT="4",
    )
    cluster, tempo = options.cluster, options.tempo
    assert (cluster.consensus, cluster.slot_seconds, cluster.node_version) == ("tower", 0.4, (3, 9, 1))
    assert (cluster.has_transaction_index, cluster.rent.lamports_per_byte) == (False, 6_960)
    assert cluster.relaxes_fee_payer
    assert (tempo.v1_percent, tempo.vault_percent, tempo.unexecuted_percent) == (20, 1, 2)
    assert (options.webhook_index, options.skipped_percent) == ("both", 4)


def test_a_compiled_program_has_no_vault_beside_it() -> None:
    """The virtual machine has no vault program."""
    options = options_of("--program", "program.so", DEVCHAIN_VAULT_PERCENT="5")
    assert options.program_file == Path("program.so")
    assert options.tempo.vault_percent == 0
