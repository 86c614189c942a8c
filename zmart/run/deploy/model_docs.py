"""Writes the models' documentation as one HTML file, which the API serves at `/docs/models`.

`zmart up` runs this module once, in the background, when everything is ready. dbt needs about ten seconds of one
processor for it, so it runs at the lowest priority, and not at all while the page is of the same sources.

The page appears in one step, so that no reader gets half of it. dbt works in a folder of its own, because Dagster's dbt
may run at the same time.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path

from zmart import errors, settings

from . import rebuild

#: The file name that dbt gives to a page that needs no server.
DBT_PAGE = "static_index.html"
LOWEST_PRIORITY = 19


def page_path() -> Path:
    """Return the path of the page; `api/pages.py` reads it."""
    return rebuild.dbt_folder() / "models.html"


def write_page(dsn: str) -> bool:
    """Write the page unless it is of the same sources; return whether it was written.

    Raise ConfigurationError with dbt's output when dbt fails.
    """
    digest = rebuild.sources_digest()
    if page_path().is_file() and _read_digest() == digest:
        return False
    rebuild.dbt_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=rebuild.dbt_folder(), prefix="docs-") as folder:
        rebuild.build_models(dsn, ("docs", "generate", "--static"), target=Path(folder))
        publish(Path(folder) / DBT_PAGE, digest)
    return True


def publish(written: Path, digest: str) -> Path:
    """Replace the page by a file that dbt wrote of the sources with this digest; return the page's path."""
    page, content = page_path(), written.read_bytes()
    fresh = page.with_name(f".models-{os.getpid()}.html")
    fresh.write_bytes(content)
    fresh.replace(page)
    _digest_path().write_text(f"{digest} {_checksum(content)}", encoding="utf-8")
    return page


def _read_digest() -> str | None:
    """Return the digest of the sources of the page; None where it is unknown or belongs to another page."""
    try:
        digest, checksum = _digest_path().read_text(encoding="utf-8").split()
        return digest if checksum == _checksum(page_path().read_bytes()) else None
    except (OSError, ValueError):
        return None


def _digest_path() -> Path:
    return page_path().with_suffix(".digest")


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main() -> int:
    """Write the page of the configured database at the lowest priority; return the exit status."""
    os.nice(LOWEST_PRIORITY)
    try:
        is_written = write_page(settings.load().postgres.dsn())
    except (errors.ZmartError, OSError) as error:
        print(f"ERROR: the page /docs/models is not written: {error}", file=sys.stderr)
        return 1
    print("wrote the page /docs/models" if is_written else "the page /docs/models is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
