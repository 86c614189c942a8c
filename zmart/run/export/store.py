"""Reads and writes the files of an export: a folder, or a bucket of an S3 server.

Every write is complete or absent. A folder flushes the file and its name to disk before a write returns, because the
log's delivered bodies may be deleted once they are exported. S3 stores a whole object or none. A request of S3 that
is not answered within a minute is an error; several attempts together take two minutes at most.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from zmart import errors, os_errors
from zmart.settings import ExportSettings

from .manifest import SegmentMissing

if TYPE_CHECKING:
    from obstore.store import S3Store

REQUEST_SECONDS = 60
CONNECT_SECONDS = 10
RETRIES = 4
RETRY_SECONDS = 120


class ExportStore(Protocol):
    """A place for the files of an export. Paths are below the location and have slashes."""

    @property
    def location(self) -> str:
        """The address, without credentials."""

    def put(self, path: str, content: bytes) -> None:
        """Write a file, or replace it. Raise Unavailable where the store does not accept it."""

    def get(self, path: str) -> bytes:
        """Return a file. Raise SegmentMissing where there is none, Unavailable where the store does not answer."""

    def list(self, prefix: str = "") -> list[str]:
        """Return the paths of all files below a folder, sorted."""

    def delete(self, path: str) -> None:
        """Delete a file; one that is absent is no error."""

    def sign(self, path: str, seconds: int) -> str | None:
        """Return an address that reads the file without credentials for some time; None where there are none."""


def open_store(settings: ExportSettings) -> ExportStore:
    """Return the store of EXPORT_URL. Raise ConfigurationError where it is not set."""
    if settings.url is None:
        raise errors.ConfigurationError(
            "EXPORT_URL is not set, so there is no place for exported files.",
            help="Set EXPORT_URL to a folder or to s3://BUCKET/PREFIX.",
        )
    return open_location(settings.url, settings)


def open_location(url: str, settings: ExportSettings) -> ExportStore:
    """Return the store at `url`, a folder or `s3://BUCKET/PREFIX`."""
    if url.startswith("s3://"):
        return BucketStore(url, settings)
    return FolderStore(Path(url.removeprefix("file://")))


class FolderStore:
    """A folder."""

    def __init__(self, root: Path) -> None:
        self._root = root.expanduser().absolute()

    @property
    def location(self) -> str:
        """The absolute path."""
        return str(self._root)

    def put(self, path: str, content: bytes) -> None:
        """Write the file beside its name, flush it, and give it the name."""
        target = self._root / path
        with _translate_os_errors():
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished = target.with_name(f"{target.name}.unfinished")
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(target)
            for folder in [target.parent, *target.parent.parents]:
                _flush_folder(folder)
                if folder == self._root:
                    break

    def get(self, path: str) -> bytes:
        """Return the file."""
        with _translate_os_errors():
            try:
                return (self._root / path).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                raise SegmentMissing(f"{path} is not in {self.location}.") from None

    def list(self, prefix: str = "") -> list[str]:
        """Return the paths of all files below a folder, sorted."""
        with _translate_os_errors():
            found = (self._root / prefix).rglob("*")
            return sorted(path.relative_to(self._root).as_posix() for path in found if path.is_file())

    def delete(self, path: str) -> None:
        """Delete the file, and folders that are empty then."""
        with _translate_os_errors():
            (self._root / path).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                for folder in (self._root / path).parents:
                    if folder == self._root:
                        break
                    folder.rmdir()

    def sign(self, path: str, seconds: int) -> str | None:
        """Return None: a folder has no addresses."""
        del path, seconds
        return None


class BucketStore:
    """A bucket, below a prefix."""

    def __init__(
        self, url: str, settings: ExportSettings, *, request_seconds: int = REQUEST_SECONDS, retries: int = RETRIES
    ) -> None:
        parts = urlsplit(url)
        self._location = f"s3://{parts.netloc}{parts.path.rstrip('/')}"
        self._store = _open_bucket(parts.netloc, parts.path.strip("/"), settings, request_seconds, retries)

    @property
    def location(self) -> str:
        """The address `s3://BUCKET/PREFIX`."""
        return self._location

    def put(self, path: str, content: bytes) -> None:
        """Write the object in one request, so that it is whole or absent."""
        import obstore

        with self._translate(path):
            obstore.put(self._store, path, content, use_multipart=False)

    def get(self, path: str) -> bytes:
        """Return the object."""
        import obstore

        with self._translate(path):
            return bytes(obstore.get(self._store, path).bytes())

    def list(self, prefix: str = "") -> list[str]:
        """Return the paths of all objects below a folder, sorted."""
        import obstore

        with self._translate(prefix):
            pages = obstore.list(self._store, prefix.rstrip("/") or None, chunk_size=1_000)
            return sorted(str(item["path"]) for page in pages for item in page)

    def delete(self, path: str) -> None:
        """Delete the object."""
        import obstore

        with self._translate(path), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._store, path)

    def sign(self, path: str, seconds: int) -> str | None:
        """Return a signed address of the object."""
        import obstore

        with self._translate(path):
            return str(obstore.sign(self._store, "GET", path, timedelta(seconds=seconds)))

    @contextlib.contextmanager
    def _translate(self, path: str) -> Iterator[None]:
        from obstore import exceptions

        try:
            yield
        except FileNotFoundError:
            raise SegmentMissing(f"{path} is not in {self.location}.") from None
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            raise errors.Unauthorized(
                f"{self.location} refuses access to {path or 'its list'}.",
                help="Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the rights on the bucket.",
            ) from error
        except exceptions.BaseError as error:
            raise errors.Unavailable(
                f"{self.location} does not answer for {path or 'its list'}: {_first_line(error)}.",
                help="Run `zmart export` again; it continues after the last published segment.",
            ) from error


def _open_bucket(bucket: str, prefix: str, settings: ExportSettings, request_seconds: int, retries: int) -> S3Store:
    from obstore.store import S3Store

    config: Any = {
        name: value
        for name, value in {
            "access_key_id": _reveal(settings.access_key_id),
            "secret_access_key": _reveal(settings.secret_access_key),
            "token": _reveal(settings.session_token),
            "endpoint": settings.endpoint_url,
            "region": settings.region,
        }.items()
        if value is not None
    }
    return S3Store(
        bucket,
        prefix=prefix or None,
        config=config,
        client_options={
            "allow_http": (settings.endpoint_url or "").startswith("http://"),
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "timeout": timedelta(seconds=request_seconds),
        },
        retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
    )


def _reveal(secret: Any) -> str | None:
    return None if secret is None else str(secret.reveal())


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300].rstrip(".")


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _translate_os_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise os_errors.translate(error) from error
