"""Who may ask, and what every answer forbids."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from webpage.guard import COOKIE, FEW, Guard
from webpage.settings import Settings

TOKEN = "0123456789abcdef-token"


def browser(base: str = "http://127.0.0.1:8080", **settings: Any) -> TestClient:
    """At a server that answers every path."""

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{request.method} {len(await request.body())}")

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "DELETE"])])
    app.add_middleware(Guard, settings=Settings((), **settings))
    return TestClient(app, base_url=base, follow_redirects=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8080", "[::1]:8080", "127.0.0.1:9"])
def test_this_machine_is_answered_under_its_own_names(host: str) -> None:
    assert browser().get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8080", "", "[", "192.168.0.1"]
)
def test_another_name_that_leads_here_is_refused(host: str) -> None:
    answer = browser().get("/api/bundles", headers={"Host": host})
    assert answer.status_code == 421
    assert "does not go by that name" in answer.json()["error"]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://[", "http://127.0.0.1:9999", "https://localhost:8080"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_the_page_of_somebody_else_is_refused(method: str, origin: str) -> None:
    assert browser().request(method, "/api/jobs", headers={"Origin": origin}).status_code == 403


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_the_page_itself_may_ask(method: str) -> None:
    headers = {"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}
    assert browser().request(method, "/api/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_writing_from_another_site_is_refused_where_the_browser_tells(site: str) -> None:
    assert browser().post("/api/jobs", headers={"Sec-Fetch-Site": site}).status_code == 403


def test_without_the_token_nothing_is_answered_not_even_the_page() -> None:
    page = browser(token=TOKEN)
    for path in ("/", "/static/app.js", "/api/bundles", "/api/bundles?token=" + TOKEN, "/?token=wrong"):
        assert page.get(path).status_code == 401, path


def test_the_token_in_the_address_becomes_a_cookie_that_scripts_cannot_read() -> None:
    page = browser(token=TOKEN)
    answer = page.get(f"/?token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith(f"{COOKIE}_8080={TOKEN}".lower())
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert page.get("/api/bundles").status_code == 200


def test_the_cookie_of_a_server_at_another_port_is_left_alone() -> None:
    page = browser("http://127.0.0.1:8081", token=TOKEN)
    assert page.get("/", headers={"Cookie": f"{COOKIE}_8080={TOKEN}"}).status_code == 401
    assert page.get("/", headers={"Cookie": f"{COOKIE}_8080=other; {COOKIE}_8081={TOKEN}"}).status_code == 200


@pytest.mark.parametrize(
    ("value", "status"),
    [(f"Bearer {TOKEN}", 200), (f"bearer {TOKEN}", 200), ("Bearer x", 401), (f"Basic {TOKEN}", 401)],
)
def test_programs_send_the_token_as_a_bearer(value: str, status: int) -> None:
    assert browser(token=TOKEN).get("/api/bundles", headers={"Authorization": value}).status_code == status


def test_a_token_with_odd_characters_is_wrong_and_not_a_fault() -> None:
    assert browser(token=TOKEN).get("/", headers={"Authorization": "Bearer ä".encode("latin-1")}).status_code == 401


def test_beyond_this_machine_the_token_counts_and_any_name_does() -> None:
    page = browser("http://station.example:8080", host="0.0.0.0", token=TOKEN)
    assert page.get("/").status_code == 401
    assert page.get("/", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_long_bodies_are_taken_by_uploads_alone() -> None:
    page, long = browser(), b"x" * (FEW + 1)
    assert page.post("/api/jobs", content=long).status_code == 413
    assert page.post("/api/jobs", content=iter([long])).status_code == 413
    assert page.post("/api/jobs", content=long[:-1]).text == f"POST {FEW}"
    assert page.post("/api/uploads", content=long).text == f"POST {FEW + 1}"


@pytest.mark.parametrize("path", ["/", "/api/bundles"])
@pytest.mark.parametrize("host", ["127.0.0.1:8080", "evil.example"])
def test_every_answer_says_what_a_browser_may_not_do(path: str, host: str) -> None:
    headers = browser().get(path, headers={"Host": host}).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http:" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers
