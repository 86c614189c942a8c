"""Checks the configuration before a run: chain, program, keys, and whether our rules suit those of the program.

A configuration that cannot work is refused here with an error message, before a plan is made. Plans and simulations
need no keys, because they use the addresses of the authorities on chain; only signing needs keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from zmart import errors, settings
from zmart.chain import addresses, client, signer
from zmart.chain.signing import TransactionSigner
from zmart.domain.ids import Address

from . import proofs
from .actions import Key, Task
from .plan_inputs import ProtocolConfig


@dataclass(frozen=True, kw_only=True)
class KeeperKeys:
    """The configured keys of the keepers."""

    backend: TransactionSigner | None = None
    admin: TransactionSigner | None = None

    @classmethod
    def of(cls, chain: settings.ChainSettings) -> KeeperKeys:
        """Load the configured keys. Raises ConfigurationError for a key that cannot be used."""
        return cls(backend=signer.backend(chain), admin=signer.admin(chain))

    def for_role(self, key: Key) -> TransactionSigner | None:
        """Return the key of a role."""
        return self.backend if key == "backend" else self.admin


def authority(config: ProtocolConfig, key: Key) -> Address:
    """Return the address whose signature the program accepts for a role."""
    return config.backend_authority if key == "backend" else config.admin


@dataclass(frozen=True, kw_only=True)
class LogIdentity:
    """The chain and program of the log, and its voting window."""

    genesis_hash: str | None
    program_id: str | None
    #: Seconds, with which the views were deployed.
    voting_window_seconds: int


async def require_chain(node: client.ChainClient, chain: settings.ChainSettings, log: LogIdentity) -> None:
    """Check that node, settings and log are of one chain and one program. Raises ConfigurationError, NodeError."""
    genesis_hash = await client.verify_cluster(node, chain.cluster)
    if log.genesis_hash != genesis_hash:
        log_chain = f"of genesis hash {log.genesis_hash}" if log.genesis_hash else "of no chain yet"
        raise errors.ConfigurationError(
            f"The log is {log_chain}, the node's genesis hash is {genesis_hash}.",
            help="Let ingest walk the node's chain first, or set SOLANA_RPC_URL to a node of the log's chain.",
        )
    if log.program_id != chain.program_id:
        raise errors.ConfigurationError(
            f"The log is of program {log.program_id}, but SOLANA_PROGRAM_ID_CORE is {chain.program_id}.",
            help="Set it to the log's program, or use another database.",
        )


async def read_config(
    node: client.ChainClient, program_id: str, *, min_context_slot: int | None = None
) -> ProtocolConfig:
    """Return the program's current configuration. Raises ConfigurationError if there is none."""
    address = addresses.config_address(program_id)
    commitment = await node.read_commitment()
    found = await node.account(address, commitment=commitment, min_context_slot=min_context_slot)
    return proofs.config_of(found.value, program_id=program_id, address=address)


def require_roles(config: ProtocolConfig, keys: KeeperKeys) -> None:
    """Refuse a key that the program would refuse; the program's authorities cannot be changed (protocol.md 1.5)."""
    named: Iterable[tuple[str, str, TransactionSigner | None, Address]] = (
        ("backend authority", "BACKEND_KEYPAIR_PATH", keys.backend, config.backend_authority),
        ("admin", "ADMIN_KEYPAIR_PATH", keys.admin, config.admin),
    )
    for role, variable, key, expected in named:
        if key is not None and key.address != expected:
            raise errors.ConfigurationError(
                f"The {role} on chain is {expected}, but the configured key is {key.address}.",
                help=f"Set {variable} to the key of {expected}, or SOLANA_PROGRAM_ID_CORE to its program.",
            )


def require_rules(config: ProtocolConfig, voting: settings.VotingSettings, log: LogIdentity) -> None:
    """Refuse thresholds looser than the program's, and a voting window that differs from the one shown to readers."""
    compared = (
        ("PROPOSAL_APPROVAL_THRESHOLD", voting.proposal_approval_threshold_bps, config.proposal_approval_threshold),
        ("DISPUTE_THRESHOLD", voting.dispute_threshold_bps, config.dispute_success_threshold),
    )
    for variable, ours, theirs in compared:
        if ours < theirs:
            raise errors.ConfigurationError(
                f"{variable} is {ours / 10_000:g}, looser than the program's {theirs / 10_000:g}.",
                help=f"Set it to {theirs / 10_000:g} or more.",
            )
    if voting.dispute_voting_window_seconds != log.voting_window_seconds:
        raise errors.ConfigurationError(
            f"DISPUTE_VOTING_WINDOW is {voting.dispute_voting_window_seconds} s, but the API shows "
            f"{log.voting_window_seconds} s.",
            help="Run: zmart migrate",
        )


def require_key(task: Task, keys: KeeperKeys) -> TransactionSigner:
    """Return the key that a task signs with. Raises ConfigurationError if it is not configured."""
    key = keys.for_role(task.key)
    if key is None:
        variable = "BACKEND_KEYPAIR_PATH" if task.key == "backend" else "ADMIN_KEYPAIR_PATH"
        raise errors.ConfigurationError(
            f"{task.name} signs as the {task.key}, whose key is not configured.",
            help=f"Set {variable}, or only plan: zmart keeper plan {task.name}",
        )
    return key
