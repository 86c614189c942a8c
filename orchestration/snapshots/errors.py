"""Defines the errors of a snapshot and the alert of each.

SnapshotError
├── PublishFailed   the node does not answer, or refuses; the next run tries again
├── CidMismatch     the node returned another CID than ours: not anchored
├── ReadBackFailed  the published content cannot be read back unchanged: not anchored
├── ContentChanged  the log has other content than the anchored document: nothing is changed
└── PinFailed       the pinning service did not pin it; it is anchored nevertheless
"""

from __future__ import annotations

from typing import ClassVar

from zmart import errors
from zmart.db.alerts import Severity
from zmart.settings import Secret, Settings


class SnapshotError(errors.ZmartError):
    """The snapshot could not be published as it should be."""

    kind: ClassVar[str]
    severity: ClassVar[Severity] = "warning"
    #: Whether the server itself fails, so that trying the next market would be useless.
    is_server_error: bool = False


class PublishFailed(SnapshotError, errors.Unavailable):
    """The IPFS node did not accept the snapshot."""

    kind = "snapshot_unpublished"
    is_server_error = True
    help = "Check that the node behind IPFS_API_URL answers; the next run publishes the missing snapshots."


class CidMismatch(SnapshotError, errors.Permanent):
    """The IPFS node computed another CID than we did."""

    kind = "snapshot_misnamed"
    severity = "critical"
    help = "Nothing was anchored. Check the proxies before the node and its import options."


class ReadBackFailed(SnapshotError, errors.Unavailable):
    """The snapshot cannot be read back as it was written."""

    kind = "snapshot_unreadable"
    help = "Nothing was anchored; the next run tries again. Check IPFS_GATEWAY_URL."


class ContentChanged(SnapshotError, errors.Conflict):
    """The log has other content than the anchored snapshot."""

    kind = "snapshot_changed"
    severity = "critical"
    help = "The anchored document was not changed. Compare: zmart snapshot verify CID"


class PinFailed(SnapshotError, errors.Unavailable):
    """The pinning service did not pin the snapshot."""

    kind = "snapshot_unpinned"
    help = "It is anchored and on the node; the next run asks for the pin again. Check IPFS_PINNING_URL."


SNAPSHOT_ERRORS: tuple[type[SnapshotError], ...] = (
    PublishFailed,
    CidMismatch,
    ReadBackFailed,
    ContentChanged,
    PinFailed,
)


class SnapshotsDisabled(errors.ConfigurationError):
    """Snapshots are off."""

    help = "Set IPFS_API_URL to the API of a Kubo node."


def require_on(configured: Settings) -> Secret:
    """Return the node's address. Raises SnapshotsDisabled if it is not set."""
    if configured.ipfs.api_url is None:
        raise SnapshotsDisabled
    return configured.ipfs.api_url
