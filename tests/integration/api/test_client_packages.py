"""The clients as packages: built, installed from what was built, and used as their pages show."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from recorded_chain import RecordedChain

CLIENTS = Path(__file__).resolve().parents[3] / "clients"
BUILD_SECONDS, RUN_SECONDS = 240, 120
pytestmark = [pytest.mark.drill, pytest.mark.timeout(900, func_only=True)]

#: Signs as a wallet: the interpreter of the tests has the library for it, the one of the package has not.
SIGNER = """
import base64, sys
from solders.keypair import Keypair
from solders.transaction import VersionedTransaction
key, what, text = Keypair.from_seed(bytes.fromhex(sys.argv[1])), sys.argv[2], sys.argv[3]
if what == "text":
    print(key.sign_message(text.encode()))
else:
    unsigned = VersionedTransaction.from_bytes(base64.b64decode(text))
    print(base64.b64encode(bytes(VersionedTransaction(unsigned.message, [key]))).decode())
"""
PYTHON = """
import subprocess, sys
signer, seed, url, address = sys.argv[1:5]


def sign(what, text):
    command = [signer, "-c", sys.argv[5], seed, what, text]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


{block}
asyncio.run(trade(url, address, lambda text: sign("text", text), lambda text: sign("transaction", text)))
"""
TYPESCRIPT = """
import { execFileSync } from "node:child_process";
import { trade } from "./readme.js";
const [signer, seed, url, address, program] = process.argv.slice(2);
const sign = (what, text) => execFileSync(signer, ["-c", program, seed, what, text]).toString().trim();
await trade(url, address, (text) => sign("text", text), (text) => sign("transaction", text));
"""


def run(command: list[str], seconds: int = BUILD_SECONDS, **more: object) -> str:
    """The output of a command that must succeed."""
    ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False, **more)  # type: ignore[call-overload]
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    output: str = ran.stdout
    return output


def install_or_skip(command: list[str], **more: object) -> None:
    """Install packages; skip where no registry can be reached."""
    try:
        run(command, **more)
    except AssertionError as error:
        if re.search(r"ENOTFOUND|EAI_AGAIN|Failed to establish|No matching distribution", str(error)):
            pytest.skip(f"no registry: {error}")
        raise


def program_of_page(folder: str, language: str) -> str:
    """The program of a client's page."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", (CLIENTS / folder / "README.md").read_text(), flags=re.DOTALL)
    return str(found)


@contextmanager
def passing_blocks(played: RecordedChain) -> Iterator[None]:
    """Let transactions land meanwhile."""
    ended = threading.Event()

    async def pass_and_deliver() -> None:
        await played.stack.pass_blocks(1)
        await played.catch_up()

    def work() -> None:
        while not ended.wait(0.2):
            played.run(pass_and_deliver())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(RUN_SECONDS)


def test_the_python_package_signs_in_and_trades(played: RecordedChain, tmp_path: Path) -> None:
    """The wheel is installed into an environment of its own, with types, and runs the program of its page."""
    source = tmp_path / "source"
    shutil.copytree(CLIENTS / "python", source, ignore=shutil.ignore_patterns("__pycache__"))
    run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            str(tmp_path),
            str(source),
        ]
    )
    (wheel,) = tmp_path.glob("zmart_client-*.whl")
    run([sys.executable, "-m", "venv", str(tmp_path / "env")])
    interpreter = str(tmp_path / "env" / "bin" / "python")
    install_or_skip([interpreter, "-m", "pip", "install", "-q", str(wheel)])
    where = run([interpreter, "-c", "import zmart_client; print(zmart_client.__file__)"], cwd=tmp_path).strip()
    assert where.startswith(str(tmp_path / "env"))
    assert (Path(where).parent / "py.typed").exists()

    program = PYTHON.replace("{block}", program_of_page("python", "python"))
    seed = bytes(played.wallet.key)[:32].hex()
    # Other tests let markets go through their whole lives.
    played.run(played.reach("ACTIVE"))
    with passing_blocks(played):
        arguments = [sys.executable, seed, played.url, played.wallet.address, SIGNER]
        output = run([interpreter, "-c", program, *arguments], RUN_SECONDS, cwd=tmp_path)
    assert re.fullmatch(r"bought [1-9][0-9]*\n", output)


def test_the_npm_package_signs_in_and_trades(played: RecordedChain, typescript_client: Path, tmp_path: Path) -> None:
    """The archive has only what users need, and runs the program of its page, compiled against its types."""
    (packed,) = json.loads(run(["npm", "pack", "--json", "--pack-destination", str(tmp_path)], cwd=typescript_client))
    names = {file["path"] for file in packed["files"]}
    assert {"package.json", "README.md", "dist/index.js", "dist/index.d.ts"} <= names
    assert {name.partition("/")[0] for name in names} == {"package.json", "README.md", "dist"}

    folder = tmp_path / "user"
    folder.mkdir()
    (folder / "package.json").write_text('{"name": "user", "private": true, "type": "module"}')
    archive = str(tmp_path / packed["filename"])
    install_or_skip(["npm", "install", "--no-audit", "--no-fund", "--offline", archive], cwd=folder)
    (folder / "readme.ts").write_text(program_of_page("typescript", "ts"))
    (folder / "main.js").write_text(TYPESCRIPT)
    compiler = typescript_client / "node_modules" / "typescript" / "bin" / "tsc"
    run(["node", str(compiler), "--target", "ES2022", "--module", "NodeNext", "--strict", "readme.ts"], cwd=folder)

    seed = bytes(played.wallet.key)[:32].hex()
    # Other tests let markets go through their whole lives.
    played.run(played.reach("ACTIVE"))
    with passing_blocks(played):
        arguments = [sys.executable, seed, played.url, played.wallet.address, SIGNER]
        output = run(["node", "main.js", *arguments], RUN_SECONDS, cwd=folder)
    assert re.fullmatch(r"bought [1-9][0-9]*\n", output)
