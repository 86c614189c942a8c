"""Keys in files, and lamports for them where the genesis hash says localnet."""

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
    """Keys of one's own, in files that only their owner can read."""


@key.command("new")
@click.argument("file", type=click.Path(path_type=Path))
def new_key(file: Path) -> None:
    """Make a key into the new FILE (mode 0600) and print its address; a file that is there is left alone."""
    from zmart.run import keypairs

    click.echo(keypairs.create_key(file))


@key.command("show")
@click.argument("file", type=click.Path(path_type=Path))
def show_key(file: Path) -> None:
    """Print the address of the key in FILE, and nothing else of it."""
    from zmart.run import keypairs

    click.echo(keypairs.address_of_key(file))


_SOL = click.option("--sol", default=Decimal(10), show_default=True, type=Decimal, help="How much, in SOL.")


@key.command("airdrop")
@click.argument("name", metavar="ADDRESS|FILE")
@_SOL
def airdrop_key(name: str, sol: Decimal) -> None:
    """Give an address, or the key in a file, lamports out of nothing; only where the genesis hash says localnet."""
    from zmart.run import keypairs

    address = keypairs.resolve_address(name)
    balance = asyncio.run(keypairs.airdrop(configuration.load().chain, address, _to_lamports(sol)))
    click.echo(f"{address} holds {_format_sol(balance)} SOL")


@click.command()
@click.option("--count", default=3, show_default=True, type=click.IntRange(1, 50), help="How many.")
@_SOL
def demo_wallets(count: int, sol: Decimal) -> None:
    """Make wallets to try things with, filled up; only where the genesis hash says localnet.

    Their key files stay in the state directory: a second time shows the same.
    """
    settings = configuration.load()
    asyncio.run(_print_demo_wallets(settings, count, _to_lamports(sol)))


async def _print_demo_wallets(settings: Settings, count: int, lamports: int) -> None:
    from zmart.run import keypairs

    async for wallet in keypairs.demo_wallets(settings.chain, settings.state_dir / "wallets", count, lamports):
        click.echo(f"{wallet.address}  {_format_sol(wallet.lamports)} SOL  {wallet.path}")


def _to_lamports(sol: Decimal) -> int:
    """An amount of SOL in lamports, exactly."""
    lamports = sol * 1_000_000_000 if sol.is_finite() else Decimal(0)
    if not 0 < lamports < 2**63 or lamports != int(lamports):
        raise errors.InvalidInput(f"{sol} SOL is no amount.", help="Give more than zero, with at most nine decimals.")
    return int(lamports)


def _format_sol(lamports: int) -> str:
    return f"{Decimal(lamports) / 1_000_000_000:f}"
