"""Composes `postgresql://` URIs."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit


def postgres_uri(*, host: str, port: int, user: str, password: str | None, database: str) -> str:
    """Compose one `postgresql://` URI; a host that is a directory (a socket) is quoted into it."""
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    name = f"[{host}]" if ":" in host else quote(host, safe="")
    return f"postgresql://{login}@{name}:{port}/{quote(database, safe='')}"


def dsn_with_role(dsn: str, role: str) -> str:
    """Return `dsn` with `role` set when a connection starts, so that tables belong to it."""
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query))
    query["options"] = f"{query.get('options', '')} -c role={role}".strip()
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))
