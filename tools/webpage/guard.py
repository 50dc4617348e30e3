"""Who may ask: the page itself, under the server's own name, with the token where there is one.

A page of somebody else, open in the same browser, can send requests here too. It cannot read answers, but it could
start jobs; and by letting its own name point to this machine (DNS rebinding) it could read them. So the Host must be
the server's, and the Origin, where a browser sends one, that of the page.
"""

from __future__ import annotations

import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webpage.settings import Settings, is_loopback

__all__ = ["COOKIE", "Guard"]

COOKIE = "transmodal_token"
"""With the port after it."""
SAFE = ("GET", "HEAD")
UPLOADS = "/api/uploads"
"""The one place that takes more than a few words; it counts them itself."""
FEW = 1 << 16
"""Bytes of any other request, which are held in memory."""
POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self' blob: data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""The page takes nothing from anywhere else, and nothing that is written into it runs."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class Guard:
    """Lets through what may ask, and says in every answer what a browser may do with it.

    Args:
        app: what is guarded.
        settings: host and token.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            answer = self._refusal(scope) or self._entry(scope)
            await self._answer(answer or self.app, scope, receive, _Answer(send))
        # nothing else is served: a WebSocket would escape these checks

    async def _answer(self, app: ASGIApp, scope: Scope, receive: Receive, send: _Answer) -> None:
        """Also where the application breaks; the error goes on, to be told to whoever runs the server."""
        try:
            await app(scope, receive, send)
        except Exception:
            if not send.begun:
                await _refused(500, "the server failed; what it printed says why")(scope, receive, send)
            raise

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if not self._is_own(_host_of(headers.get("host", ""))):
            return _refused(421, "this server does not go by that name; open the address that it printed")
        origin = headers.get("origin")
        if origin is not None and _place_of(origin) != headers["host"]:
            return _refused(403, "only the page itself may ask")
        if scope["method"] not in SAFE and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return _refused(403, "only the page itself may ask")
        if self.settings.token is not None and not self._knows(scope, headers):
            return _refused(401, "the token is missing or wrong; open the address that the server printed")
        if scope["path"] != UPLOADS and (_length(headers) > FEW or "transfer-encoding" in headers):
            return _refused(413, f"more than {FEW} bytes, or an unknown number of them")
        return None

    def _is_own(self, host: str) -> bool:
        """Any name of this machine that leads here; where all may ask, the token protects."""
        wanted = self.settings.host
        if is_loopback(wanted):
            return is_loopback(host)
        return self.settings.token is not None and bool(host)

    def _knows(self, scope: Scope, headers: Headers) -> bool:
        token = str(self.settings.token).encode()
        return any(secrets.compare_digest(token, said.encode()) for said in _said(scope, headers))

    def _entry(self, scope: Scope) -> Response | None:
        """The page opened with the token in its address: kept as a cookie, and the address without it."""
        if self.settings.token is None or scope["path"] != "/" or not _query(scope):
            return None
        response = RedirectResponse("/", 303)
        response.set_cookie(_cookie(scope), self.settings.token, httponly=True, samesite="strict", path="/")
        return response


def _length(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    return int(length) if length.isascii() and length.isdigit() else FEW + 1


def _said(scope: Scope, headers: Headers) -> list[str]:
    """Tokens that came with a request."""
    said = _query(scope) if scope["path"] == "/" else []
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        said.append(value.strip())
    try:
        cookie = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return said
    name = _cookie(scope)
    return [*said, cookie[name].value] if name in cookie else said


def _cookie(scope: Scope) -> str:
    """Its name: browsers keep cookies by host alone, and a server shall not take another's for its own."""
    _, port = scope.get("server") or ("", 0)
    return f"{COOKIE}_{port}"


def _query(scope: Scope) -> list[str]:
    return parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [])


def _host_of(header: str) -> str:
    """The name in a Host header, without the port; empty if it is none."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _place_of(origin: str) -> str | None:
    """Host and port of an Origin header; None if it is malformed."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _refused(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)


class _Answer:
    """An answer on its way, with the headers that each gets."""

    def __init__(self, send: Send) -> None:
        self.send, self.begun = send, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await self.send(message)
