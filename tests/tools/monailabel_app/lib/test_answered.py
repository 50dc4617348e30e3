"""Which requests are answered; which of MONAI Label's are closed."""

from __future__ import annotations

import pytest

from monailabel_app.lib.answered import CLOSED, closed


@pytest.mark.parametrize(
    "request_",
    [
        "GET /",
        "GET /docs",
        "GET /static/favicon.ico",
        "GET /info/",
        "GET /info",
        "GET /model/info/one",
        "POST /infer/one",
        "POST /batch/infer/one",
        "DELETE /batch/infer",
        "POST /train/one",
        "GET /train/",
        "DELETE /train/",
        "POST /activelearning/random",
        "GET /datastore/",
        "HEAD /datastore/image",
        "PUT /datastore/label",
        "DELETE /datastore/image",
        "PUT /session/",
        "GET /session/01234567-89ab-cdef-0123-456789abcdef",
        "POST /auth/token",
    ],
)
def test_what_the_app_is_for_is_answered(request_: str) -> None:
    assert closed(*request_.split()) is None


@pytest.mark.parametrize(
    "request_",
    [
        "PUT /model/one",
        "DELETE /model/one",
        "GET /model/one",
        "PUT /model/info/one",
        "GET /logs/",
        "GET /logs/gpu",
        "POST /reload",
        "GET /proxy/dicom/wado/studies",
        "POST /proxy/dicom/stow/studies",
        "GET /ohif/index.html",
    ],
)
def test_what_monai_label_would_answer_is_closed_and_says_why(request_: str) -> None:
    method, path = request_.split()
    reason = CLOSED[path.split("/")[1]]
    assert closed(method, path) == (403, f"{request_} is closed: {reason}")


@pytest.mark.parametrize(
    "request_",
    [
        "GET /nothing",
        "PATCH /datastore/image",
        "POST /info/",
        "GET /infer/one",
        "GET /session/..",
        "DELETE /session/01234567-89ab-cdef-0123-456789abcdef/deeper",
        "GET //datastore/",
        "TRACE /",
    ],
)
def test_everything_else_is_not_there(request_: str) -> None:
    method, path = request_.split()
    status, said = closed(method, path) or (0, "")
    assert (status, said.split(" is ")[0]) == (404, request_)
