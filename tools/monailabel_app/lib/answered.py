"""The requests of MONAI Label that are answered. It has others, for people who are logged in; here nobody is."""

from __future__ import annotations

import re

READ, NAME, SESSION = ("GET", "HEAD"), "[^/]+", "[0-9a-f-]{36}"
ANSWERED: tuple[tuple[tuple[str, ...], str], ...] = (
    (READ, r"/|/docs|/openapi\.json|/favicon\.ico|/static/.*"),
    (READ, rf"/info/?|/model/info/{NAME}"),
    ((*READ, "POST"), r"/auth(/.*)?"),
    (("POST",), rf"/infer/{NAME}|/infer/wsi(_v2)?/{NAME}|/batch/infer/{NAME}|/activelearning/{NAME}"),
    (("POST",), rf"/(train|scoring)(/({NAME})?)?"),
    ((*READ, "DELETE"), r"/(train|scoring|batch/infer)/?"),
    ((*READ, "PUT", "DELETE"), r"/datastore(/.*)?"),
    (("PUT",), r"/session/?"),
    ((*READ, "DELETE"), rf"/session/{SESSION}"),
)
"""Methods, and the whole path of an address."""

CLOSED = {
    "model": "weights are neither taken nor given away; they lie in the folder of bundles on the server's own machine",
    "logs": "the log lies in the folder of the app on the server's own machine",
    "proxy": "requests are not handed on to another server",
    "ohif": "OHIF shows labels, and results here are images",
    "reload": "start the server again in place of that",
}
"""By the first part of their paths, requests that MONAI Label would answer, and what to say in place of that."""


def closed(method: str, path: str) -> tuple[int, str] | None:
    """Status and words of the refusal of a request, or None if it is answered."""
    if any(method in methods and re.fullmatch(pattern, path) for methods, pattern in ANSWERED):
        return None
    reason = CLOSED.get(path.strip("/").partition("/")[0])
    if reason is not None:
        return 403, f"{method} {path} is closed: {reason}"
    return 404, f"{method} {path} is no request to this server; its requests are listed at /docs"
