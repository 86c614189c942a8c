"""Calls the servers that snapshots use: a Kubo node, a gateway, and a pinning service (Pinning Service API).

Each call has a time limit. Each response is read up to a maximum size and trusted as little as possible: the parts
that matter are compared with our own values. No error message contains an address, because it may include a password.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx

from zmart.settings import IpfsSettings, Secret

from .errors import PinFailed, PublishFailed, ReadBackFailed, SnapshotError

# At INFO, httpx logs addresses with the credentials in them.
logging.getLogger("httpx").setLevel(logging.WARNING)

#: Time limit of one request.
TIMEOUT_SECONDS: Final = 30.0
#: Pauses before the retries: a gateway may need time to find new content.
PAUSES_SECONDS: Final = (1.0, 3.0, 9.0)
#: Maximum time that a service may take to pin, and the interval between two polls.
PINNED_WITHIN_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 2.0
#: A response longer than this is not used.
_MAX_RESPONSE_BYTES: Final = 1 << 20

#: The profile unixfs-v0-2015 in Kubo's parameters, sent explicitly because a node may have other defaults.
PROFILE: Final[Mapping[str, str]] = {
    "cid-version": "0",
    "raw-leaves": "false",
    "chunker": "size-262144",
    "max-file-links": "174",
    "hash": "sha2-256",
    "trickle": "false",
    "nocopy": "false",
    "inline": "false",
    "wrap-with-directory": "false",
    "pin": "true",
    "quieter": "true",
    "progress": "false",
}


@dataclass(frozen=True)
class MonotonicClock:
    """The clock; tests pass their own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class _HttpService:
    """An HTTP client of one base address, with the error class that its failures raise."""

    def __init__(
        self,
        url: Secret,
        error_class: type[SnapshotError],
        name: str,
        *,
        variable: str,
        token: Secret | None = None,
    ) -> None:
        self._fault, self._name = error_class, name
        #: The setting that contains its address.
        self._variable = variable
        headers = {"authorization": f"Bearer {token.reveal()}"} if token else {}
        self._http = httpx.Client(
            base_url=url.reveal().rstrip("/"),
            headers=headers,
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
            follow_redirects=True,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def request(self, method: str, path: str, *, limit: int = _MAX_RESPONSE_BYTES, **options: Any) -> bytes:
        """Return the body of a successful response; it stops once it has more than `limit` bytes.

        Raises the service's error class otherwise.
        """
        content = bytearray()
        try:
            with self._http.stream(method, path, **options) as answer:
                for chunk in answer.iter_bytes():
                    content += chunk
                    if len(content) > limit:
                        break
        except httpx.TimeoutException:
            raise self._fault(f"{self._name} does not answer within {TIMEOUT_SECONDS:g} s.") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Without a cause: the cause contains the address.
            raise self._fault(
                f"{self._name} cannot be reached ({type(error).__name__}). Check that it runs, and {self._variable}."
            ) from None
        if not answer.is_success:
            raise self._fault(f"{self._name} answers {answer.status_code}: {_excerpt(content)}")
        return bytes(content)


class IpfsServices:
    """The configured services; use them with `with`, which closes them."""

    def __init__(self, ipfs: IpfsSettings, *, api_url: Secret, clock: MonotonicClock | None = None) -> None:
        self._clock = clock or MonotonicClock()
        self._node = _HttpService(api_url, PublishFailed, "The IPFS node", variable="IPFS_API_URL")
        self._reader = _HttpService(
            ipfs.gateway_url or api_url,
            ReadBackFailed,
            "The gateway" if ipfs.gateway_url else "The node",
            variable="IPFS_GATEWAY_URL" if ipfs.gateway_url else "IPFS_API_URL",
        )
        self._has_gateway = ipfs.gateway_url is not None
        self._pinning_service = (
            _HttpService(
                ipfs.pinning_url,
                PinFailed,
                "The pinning service",
                variable="IPFS_PINNING_URL",
                token=ipfs.pinning_token,
            )
            if ipfs.pinning_url
            else None
        )

    @property
    def has_pinning_service(self) -> bool:
        """Return whether a pinning service is configured."""
        return self._pinning_service is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self._node, self._reader, self._pinning_service):
            if server is not None:
                server.close()

    def publish(self, content: bytes) -> str:
        """Add a file to the node, pinned there, and return the CID that the node computes. Raises PublishFailed."""
        answer = self._node.request(
            "POST", "/api/v0/add", params=dict(PROFILE), files={"file": ("snapshot.json", content, "application/json")}
        )
        try:
            # One JSON object per line; the last one is the file.
            return str(json.loads(answer.splitlines()[-1])["Hash"])
        except (ValueError, LookupError, TypeError):
            raise PublishFailed(f"The IPFS node returned an unexpected answer: {_excerpt(answer)}") from None

    def read_back(self, cid: str, content: bytes) -> None:
        """Check that a CID resolves to `content`.

        Raises ReadBackFailed for other content at once, and for an unreadable CID after the retries.
        """
        for pause in (*PAUSES_SECONDS, None):
            try:
                found = self._read(cid, limit=len(content))
                break
            except ReadBackFailed:
                if pause is None:
                    raise
                self._clock.sleep(pause)
        if found != content:
            raise ReadBackFailed(f"{cid} returns other bytes than the published ones.")

    def _read(self, cid: str, *, limit: int) -> bytes:
        if self._has_gateway:
            return self._reader.request("GET", f"/ipfs/{cid}", limit=limit)
        return self._reader.request("POST", "/api/v0/cat", params={"arg": cid}, limit=limit)

    def pin(self, cid: str, name: str) -> None:
        """Pin a CID at the pinning service and wait until it is pinned. Raises PinFailed."""
        if self._pinning_service is None:
            return
        pin = self._existing_request(cid) or self._request_json("POST", "/pins", json={"cid": cid, "name": name})
        deadline = self._clock.now() + PINNED_WITHIN_SECONDS
        while (status := _status(pin, cid)) != "pinned":
            if status not in ("queued", "pinning"):
                raise PinFailed(f"The pinning service stopped pinning {cid}: {status}.")
            if self._clock.now() >= deadline:
                raise PinFailed(
                    f"The pinning service has not pinned {cid} within {PINNED_WITHIN_SECONDS:g} s: {status}."
                )
            self._clock.sleep(_POLL_SECONDS)
            pin = self._request_json("GET", f"/pins/{pin['requestid']}")

    def _existing_request(self, cid: str) -> dict[str, Any] | None:
        """Return the pin request that exists already, so that a second run does not create another one."""
        response = self._request_json("GET", "/pins", params={"cid": cid, "status": "queued,pinning,pinned"})
        return next(_requests(response, cid), None)

    def _request_json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        assert self._pinning_service is not None
        answer = self._pinning_service.request(method, path, **options)
        try:
            response = json.loads(answer)
        except ValueError:
            response = None
        if not isinstance(response, dict):
            raise PinFailed(f"The pinning service returned an unexpected answer: {_excerpt(answer)}")
        return response


def _requests(response: Mapping[str, Any], cid: str) -> Iterator[dict[str, Any]]:
    results = response.get("results")
    for each in results if isinstance(results, list) else []:
        if isinstance(each, dict) and isinstance(each.get("pin"), dict) and each["pin"].get("cid") == cid:
            yield each


def _status(pin: Mapping[str, Any], cid: str) -> str:
    """Return the status of a pin request. Raises PinFailed if it is about another CID or has no request id."""
    about, status = pin.get("pin"), pin.get("status")
    if not isinstance(about, dict) or about.get("cid") != cid or not isinstance(pin.get("requestid"), str):
        raise PinFailed(f"The pinning service returned another CID than {cid}.")
    return str(status)


def _excerpt(content: bytes | bytearray) -> str:
    """Return the start of a response, for error messages."""
    return " ".join(bytes(content[:300]).decode(errors="replace").split()) or "nothing"
