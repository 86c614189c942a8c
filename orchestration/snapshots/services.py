"""The servers that take part: a Kubo node, a gateway, and a service that keeps things (Pinning Service API).

Each call has a bound, and each answer is read up to a size and believed as little as possible: what matters of it is
compared with what we know. No message repeats an address, which may carry a password.
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

# At INFO it writes addresses with what is in them.
logging.getLogger("httpx").setLevel(logging.WARNING)

#: Of one request.
TIMEOUT_SECONDS: Final = 30.0
#: Before asking once more: a gateway may need a while to find what is new.
PAUSES_SECONDS: Final = (1.0, 3.0, 9.0)
#: How long a service may take until something is pinned, and how often it is asked.
PINNED_WITHIN_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 2.0
#: Answers longer than this are nobody's answers.
_MAX_RESPONSE_BYTES: Final = 1 << 20

#: The profile unixfs-v0-2015, in Kubo's words; a node of another default must not decide.
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
    """Time, which tests bring along."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class _HttpService:
    """A base address and how its failures are called."""

    def __init__(
        self, url: Secret, error_class: type[SnapshotError], name: str, *, token: Secret | None = None
    ) -> None:
        self._fault, self._name = error_class, name
        headers = {"authorization": f"Bearer {token.reveal()}"} if token else {}
        self._http = httpx.Client(
            base_url=url.reveal().rstrip("/"),
            headers=headers,
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
            follow_redirects=True,
        )

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def request(self, method: str, path: str, *, limit: int = _MAX_RESPONSE_BYTES, **options: Any) -> bytes:
        """The body of a good answer, at most `limit` bytes and one; the server's fault otherwise."""
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
            # Not as the cause: it holds the address.
            raise self._fault(f"{self._name} cannot be reached ({type(error).__name__}).") from None
        if not answer.is_success:
            raise self._fault(f"{self._name} answers {answer.status_code}: {_excerpt(content)}")
        return bytes(content)


class IpfsServices:
    """The configured ones; close them, or use them with `with`."""

    def __init__(self, ipfs: IpfsSettings, *, api_url: Secret, clock: MonotonicClock | None = None) -> None:
        self._clock = clock or MonotonicClock()
        self._node = _HttpService(api_url, PublishFailed, "The IPFS node")
        self._reader = _HttpService(
            ipfs.gateway_url or api_url, ReadBackFailed, "The gateway" if ipfs.gateway_url else "The node"
        )
        self._has_gateway = ipfs.gateway_url is not None
        self._pinning_service = (
            _HttpService(ipfs.pinning_url, PinFailed, "The pinning service", token=ipfs.pinning_token)
            if ipfs.pinning_url
            else None
        )

    @property
    def has_pinning_service(self) -> bool:
        """Whether there is a second service."""
        return self._pinning_service is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self._node, self._reader, self._pinning_service):
            if server is not None:
                server.close()

    def publish(self, content: bytes) -> str:
        """Add a file to the node, pinned there; the name that the node gives it. Raises Unpublished."""
        answer = self._node.request(
            "POST", "/api/v0/add", params=dict(PROFILE), files={"file": ("snapshot.json", content, "application/json")}
        )
        try:
            # One JSON object a line; the last is the file.
            return str(json.loads(answer.splitlines()[-1])["Hash"])
        except (ValueError, LookupError, TypeError):
            raise PublishFailed(f"The IPFS node answers with something else: {_excerpt(answer)}") from None

    def read_back(self, cid: str, content: bytes) -> None:
        """See that a name leads to `content`; Unreadable where it leads elsewhere, or after some patience nowhere."""
        for pause in (*PAUSES_SECONDS, None):
            try:
                found = self._read(cid, limit=len(content))
                break
            except ReadBackFailed:
                if pause is None:
                    raise
                self._clock.sleep(pause)
        if found != content:
            raise ReadBackFailed(f"{cid} leads to other bytes than those that were published.")

    def _read(self, cid: str, *, limit: int) -> bytes:
        if self._has_gateway:
            return self._reader.request("GET", f"/ipfs/{cid}", limit=limit)
        return self._reader.request("POST", "/api/v0/cat", params={"arg": cid}, limit=limit)

    def pin(self, cid: str, name: str) -> None:
        """Have the second service keep what a name leads to, and wait until it does. Raises Unpinned."""
        if self._pinning_service is None:
            return
        pin = self._existing_request(cid) or self._request_json("POST", "/pins", json={"cid": cid, "name": name})
        deadline = self._clock.now() + PINNED_WITHIN_SECONDS
        while (status := _status(pin, cid)) != "pinned":
            if status not in ("queued", "pinning"):
                raise PinFailed(f"The pinning service gave up on {cid}: {status}.")
            if self._clock.now() >= deadline:
                raise PinFailed(f"The pinning service has not kept {cid} within {PINNED_WITHIN_SECONDS:g} s: {status}.")
            self._clock.sleep(_POLL_SECONDS)
            pin = self._request_json("GET", f"/pins/{pin['requestid']}")

    def _existing_request(self, cid: str) -> dict[str, Any] | None:
        """The request that stands, so that a second run does not make a second one."""
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
            raise PinFailed(f"The pinning service answers with something else: {_excerpt(answer)}")
        return response


def _requests(response: Mapping[str, Any], cid: str) -> Iterator[dict[str, Any]]:
    results = response.get("results")
    for each in results if isinstance(results, list) else []:
        if isinstance(each, dict) and isinstance(each.get("pin"), dict) and each["pin"].get("cid") == cid:
            yield each


def _status(pin: Mapping[str, Any], cid: str) -> str:
    """What became of a request; Unpinned where it is about something else or says nothing."""
    about, status = pin.get("pin"), pin.get("status")
    if not isinstance(about, dict) or about.get("cid") != cid or not isinstance(pin.get("requestid"), str):
        raise PinFailed(f"The pinning service speaks of something else than {cid}.")
    return str(status)


def _excerpt(content: bytes | bytearray) -> str:
    """The beginning of an answer, for a person."""
    return " ".join(bytes(content[:300]).decode(errors="replace").split()) or "nothing"
