"""Who is answered: programs and pages of the server itself."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.middleware import Middleware
from fastapi.middleware.cors import CORSMiddleware
from fastapi.testclient import TestClient

from monailabel_app.lib import doors


@pytest.fixture
def client() -> TestClient:
    """A server that answered the pages of every origin before it was guarded."""
    everyone = Middleware(CORSMiddleware, allow_origins=["*"], allow_credentials=True, allow_methods=["*"])
    server = FastAPI(middleware=[everyone])
    server.post("/train")(lambda: "started")
    server.put("/model/{name}")(lambda name: "replaced")
    doors.guard(server, hosts="scanner.example, other.example")
    return TestClient(server, base_url="http://127.0.0.1:8000")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9000", "https://127.0.0.1:8000", "http://127.0.0.1"]
)
def test_a_page_of_somebody_else_is_refused(client: TestClient, origin: str) -> None:
    answer = client.post("/train", headers={"Origin": origin})
    assert answer.status_code == 403
    assert "Origin" in answer.json()["detail"]
    assert "access-control-allow-origin" not in answer.headers


def test_no_page_is_told_beforehand_that_it_may_ask(client: TestClient) -> None:
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client.options("/train", headers=asked)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_programs_and_pages_of_the_server_are_answered(client: TestClient) -> None:
    assert client.post("/train").json() == "started"
    assert client.post("/train", headers={"Origin": "http://127.0.0.1:8000"}).json() == "started"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "localhost@evil"])
def test_a_name_that_was_made_to_mean_this_machine_is_refused(client: TestClient, host: str) -> None:
    assert client.post("/train", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:8000", "[::1]:8000", "192.0.2.7", "Scanner.example", "other.example:80"])
def test_addresses_and_names_of_this_machine_are_answered(client: TestClient, host: str) -> None:
    assert client.post("/train", headers={"Host": host}).status_code == 200


def test_a_closed_request_is_told_why(client: TestClient) -> None:
    answer = client.put("/model/one")
    assert answer.status_code == 403
    assert answer.json()["detail"].startswith("PUT /model/one is closed: weights are neither taken nor given away")


def test_a_request_is_closed_wherever_the_server_is_mounted(client: TestClient) -> None:
    below = TestClient(client.app, base_url="http://127.0.0.1:8000", root_path="/label")
    assert below.put("/label/model/one").status_code == 403
    assert below.post("/label/train").json() == "started"


@pytest.mark.parametrize("value", ["../../etc/passwd", "a/b", "a\\b", ".."])
@pytest.mark.parametrize("key", doors.NAMES)
def test_a_name_that_leads_out_of_the_studies_is_refused(client: TestClient, key: str, value: str) -> None:
    assert client.post("/train", params={key: value}).status_code == 400
