"""Provides the commands that create key files and airdrop lamports on a localnet, as shown by its genesis hash."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import click

from zmart import errors
from zmart import settings as configuration
from zmart.settings import Settings


@click.group()
def key() -> None:
    """Create and show keypair files.

    Only the owner of a file can read it.
    """


@key.command("new")
@click.argument("file", type=click.Path(path_type=Path))
def new_key(file: Path) -> None:
    """Create the keypair FILE, print its address.

    The file has mode 0600. An existing file is not changed.
    """
    from zmart.run import keypairs

    click.echo(keypairs.create_key(file))


@key.command("show")
@click.argument("file", type=click.Path(path_type=Path))
def show_key(file: Path) -> None:
    """Print the address of the key in FILE."""
    from zmart.run import keypairs

    click.echo(keypairs.address_of_key(file))


_SOL = click.option("--sol", default=Decimal(10), show_default=True, type=Decimal, help="Amount in SOL.")


@key.command("airdrop")
@click.argument("name", metavar="ADDRESS|FILE")
@_SOL
def airdrop_key(name: str, sol: Decimal) -> None:
    """Airdrop SOL on localnet.

    The recipient is an address or the key in a file. The command works only if the genesis hash is that of localnet.
    """
    from zmart.run import keypairs

    address = keypairs.resolve_address(name)
    balance = asyncio.run(keypairs.airdrop(configuration.load().chain, address, _to_lamports(sol)))
    click.echo(f"{address} holds {_format_sol(balance)} SOL")


@click.command()
@click.option("--count", default=3, show_default=True, type=click.IntRange(1, 50), help="Number of wallets.")
@_SOL
def demo_wallets(count: int, sol: Decimal) -> None:
    """Create funded demo wallets on localnet.

    The command works only if the genesis hash is that of localnet. The key files stay in the state directory, so the
    next call shows the same wallets.
    """
    settings = configuration.load()
    asyncio.run(_print_demo_wallets(settings, count, _to_lamports(sol)))


async def _print_demo_wallets(settings: Settings, count: int, lamports: int) -> None:
    from zmart.run import keypairs

    async for wallet in keypairs.demo_wallets(settings.chain, settings.state_dir / "wallets", count, lamports):
        click.echo(f"{wallet.address}  {_format_sol(wallet.lamports)} SOL  {wallet.path}")


def _to_lamports(sol: Decimal) -> int:
    """Return an amount of SOL in lamports, exactly."""
    lamports = sol * 1_000_000_000 if sol.is_finite() else Decimal(0)
    if not 0 < lamports < 2**63 or lamports != int(lamports):
        raise errors.InvalidInput(
            f"{sol} SOL is not a valid amount.", help="Use an amount above zero with at most nine decimals."
        )
    return int(lamports)


def _format_sol(lamports: int) -> str:
    return f"{Decimal(lamports) / 1_000_000_000:f}"
