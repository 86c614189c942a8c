"""Serves the metrics of the process to Prometheus."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.datastructures import State

from zmart.http import metrics as http_metrics

from .. import errors
from ..dependencies import FromServices
from . import health


@get("/metrics", include_in_schema=False)
async def metrics(request: Request[Any, Any, State], services: FromServices) -> Response[bytes]:
    """Return the metrics of this process, to callers on this machine or with METRICS_TOKEN; raise Forbidden."""
    address = request.client.host if request.client else None
    if not http_metrics.may_read(address, request.headers, services.settings.api.metrics_token):
        raise errors.Forbidden(http_metrics.FORBIDDEN_MESSAGE)
    services.metrics.set_ready(not await health.readiness_problems(services))
    return Response(services.metrics.render(), media_type=http_metrics.CONTENT_TYPE)


HANDLERS = [metrics]
