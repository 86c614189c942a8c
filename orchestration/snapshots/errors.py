"""What can go wrong with a snapshot, and the alert each is.

Fault
├── Unpublished     the node does not answer, or refuses; tried again by the next run
├── Misnamed        the node gave another name than ours: not anchored
├── Unreadable      what is published cannot be read back as it was written: not anchored
├── Changed         the log says something else than what is anchored: left as it is
└── Unpinned        the second service does not keep it; it is anchored all the same
"""

from __future__ import annotations

from typing import ClassVar

from zmart import errors
from zmart.db.alerts import Severity
from zmart.settings import Secret, Settings


class SnapshotError(errors.ZmartError):
    """Something is wrong with a snapshot."""

    kind: ClassVar[str]
    severity: ClassVar[Severity] = "warning"
    #: Whether it is the server that ails, so that asking it for the next market is of no use.
    is_server_error: bool = False


class PublishFailed(SnapshotError, errors.Unavailable):
    """The IPFS node did not take it."""

    kind = "snapshot_unpublished"
    is_server_error = True
    help = "See whether the node behind IPFS_API_URL answers; the next run publishes what is missing."


class CidMismatch(SnapshotError, errors.Permanent):
    """The IPFS node gave it another name than ours."""

    kind = "snapshot_misnamed"
    severity = "critical"
    help = "Nothing was anchored. See what stands between us and the node, and which import options it forces."


class ReadBackFailed(SnapshotError, errors.Unavailable):
    """It cannot be read back as it was written."""

    kind = "snapshot_unreadable"
    help = "Nothing was anchored; the next run tries again. See IPFS_GATEWAY_URL."


class ContentChanged(SnapshotError, errors.Conflict):
    """The log says something else than what is anchored."""

    kind = "snapshot_changed"
    severity = "critical"
    help = "What is anchored was left as it is. Compare: zmart snapshot verify CID"


class PinFailed(SnapshotError, errors.Unavailable):
    """The second service does not keep it."""

    kind = "snapshot_unpinned"
    help = "It is anchored and at the node; the next run asks again. See IPFS_PINNING_URL."


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
    """The node's address; Off without one."""
    if configured.ipfs.api_url is None:
        raise SnapshotsDisabled
    return configured.ipfs.api_url
