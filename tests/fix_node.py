"""Node for tests that use the API as a frontend does.

packages     a folder with Anchor in its node_modules
contract_tools  a folder with tools of others that read the contract
axe          the source of axe-core, which a browser can run
unixfs       a folder with another implementation of IPFS' names in its node_modules, and names.mjs
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PEERS = Path(__file__).parents[1] / "bench" / "peers"
CLIENT = Path(__file__).parents[1] / "clients" / "typescript"
UNIXFS = Path(__file__).parent / "peers" / "unixfs"
CONTRACT = Path(__file__).parent / "peers" / "contract"
AXE = Path(__file__).parent / "peers" / "axe"


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Anchor in its node_modules; skips if Node or the packages are not available."""
    _require_node()
    if (PEERS / "node_modules" / "@coral-xyz" / "anchor").is_dir():
        return PEERS
    folder = tmp_path_factory.mktemp("npm")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PEERS / name, folder)
    return install_packages(folder, "ci")


@pytest.fixture(scope="session")
def unixfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `node names.mjs` computes CIDs; skips if Node or the package is not available."""
    _require_node()
    folder = tmp_path_factory.mktemp("unixfs")
    for name in ("package.json", "names.mjs"):
        shutil.copy(UNIXFS / name, folder)
    return install_packages(folder, "install", "--no-package-lock")


@pytest.fixture(scope="session")
def contract_tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Redocly, openapi-typescript and a compiler; skips if npm or the packages are not available."""
    _require_node()
    folder = tmp_path_factory.mktemp("contract")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(CONTRACT / name, folder)
    return install_packages(folder, "ci")


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core; skips if npm or the package is not available."""
    _require_node()
    folder = tmp_path_factory.mktemp("axe")
    shutil.copy(AXE / "package.json", folder)
    install_packages(folder, "install", "--no-package-lock")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


def _require_node() -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")


def install_packages(folder: Path, *command: str) -> Path:
    """Run a command of npm in a folder and return it; skips if the packages are not available."""
    options = ["--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        subprocess.run(["npm", *command, *options], cwd=folder, check=True, capture_output=True, timeout=180)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as exc:
        pytest.skip(f"the npm packages cannot be installed: {exc}")
    return folder


@pytest.fixture(scope="session")
def typescript_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The TypeScript client, compiled with its strict settings; skips if it cannot be built."""
    _require_node()
    folder = tmp_path_factory.mktemp("typescript") / "client"
    shutil.copytree(CLIENT, folder, ignore=shutil.ignore_patterns("node_modules", "dist"))
    install_packages(folder, "install", "--no-package-lock")
    compiled = subprocess.run(
        ["node", "node_modules/typescript/bin/tsc"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert compiled.returncode == 0, compiled.stdout
    return folder
