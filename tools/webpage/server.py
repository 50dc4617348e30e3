"""The HTTP interface of the page."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field, StrictInt
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from transmodal import __version__
from transmodal.errors import InputError
from webpage.guard import Guard
from webpage.jobs import Job, Jobs
from webpage.offered import NotReady, Offered
from webpage.receiving import TooLarge
from webpage.settings import NOTICE, Settings
from webpage.uploads import TooMany, Upload, Uploads

__all__ = ["create_app"]

SWEEP = 30.0
"""Seconds between two looks at what is over, at most."""
TYPES = {".gz": "application/gzip", ".png": "image/png", ".json": "application/json", ".zip": "application/zip"}
GONE = "there is nothing of that name, or its time is over; upload the scan again"


class Asked(BaseModel):
    """What a job is asked for."""

    model_config = ConfigDict(extra="forbid")
    upload: str = Field(max_length=64)
    bundle: str = Field(max_length=100)
    source: str = Field(max_length=64)
    target: str = Field(max_length=32)
    options: dict[str, StrictInt] = Field(default_factory=dict, max_length=16)


class Server:
    """Uploads, jobs and offers of one running server.

    Args:
        settings: of the server.
        folder: private, where all lies.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.uploads = Uploads(folder / "uploads", settings)
        self.jobs = Jobs(folder / "jobs", settings)
        self.offered = Offered(settings, folder)

    def upload(self, name: str) -> Upload:
        found = self.uploads.get(name)
        if found is None:
            raise HTTPException(404, GONE)
        return found

    def job(self, name: str) -> Job:
        found = self.jobs.get(name)
        if found is None:
            raise HTTPException(404, GONE)
        return found

    async def sweep(self) -> None:
        """Delete what is over, again and again."""
        while True:
            await asyncio.sleep(min(SWEEP, self.settings.retention / 4))
            await run_in_threadpool(self.uploads.sweep)
            await run_in_threadpool(self.jobs.sweep)

    def close(self) -> None:
        """End all that runs; whoever waits for it is told."""
        for each in (self.uploads, self.offered, self.jobs):
            each.close()


def create_app(settings: Settings, folder: Path) -> FastAPI:
    """The application.

    Args:
        settings: how it is set up.
        folder: private folder, which holds nothing yet.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        server: Server = app.state.server
        tasks = [asyncio.create_task(server.sweep()), asyncio.create_task(run_in_threadpool(server.offered.look))]
        yield
        for task in tasks:
            task.cancel()
        await run_in_threadpool(server.close)

    app = FastAPI(title="transmodal", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.server = Server(settings, folder)
    app.include_router(ABOUT)
    app.include_router(UPLOADS)
    app.include_router(JOBS)
    app.mount("/static", StaticFiles(directory=settings.static), name="static")
    app.add_exception_handler(InputError, _input_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_middleware(Guard, settings=settings)
    return app


ABOUT, UPLOADS, JOBS = APIRouter(), APIRouter(prefix="/api/uploads"), APIRouter(prefix="/api/jobs")


def _server(request: Request) -> Server:
    server: Server = request.app.state.server
    return server


@ABOUT.get("/")
def page(request: Request) -> Response:
    """The page."""
    return FileResponse(_server(request).settings.static / "index.html", media_type="text/html; charset=utf-8")


@ABOUT.get("/api/info")
def info(request: Request) -> dict[str, Any]:
    """What the page shows of the server."""
    settings = _server(request).settings
    return {
        "name": "transmodal",
        "version": __version__,
        "notice": NOTICE,
        "max_upload_bytes": settings.max_upload,
        "retention_minutes": round(settings.retention / 60, 3),
        "device": settings.device,
    }


@ABOUT.get("/api/bundles")
def bundles(request: Request) -> list[dict[str, Any]]:
    """What can be translated by what."""
    return _server(request).offered.listed()


@UPLOADS.post("")
async def add_upload(request: Request) -> dict[str, Any]:
    """Take files, and tell what they are."""
    uploads = _server(request).uploads
    upload, names = await uploads.receive(request.headers.get("content-type", ""), request.stream())
    examined = await run_in_threadpool(uploads.examine, upload, names)
    return examined.record()


@UPLOADS.get("/{name}")
def upload(request: Request, name: str) -> dict[str, Any]:
    """What an upload is."""
    return _server(request).upload(name).record()


@UPLOADS.delete("/{name}", status_code=204)
def remove_upload(request: Request, name: str) -> None:
    """Delete an upload."""
    server = _server(request)
    if not server.uploads.remove(server.upload(name)):
        raise HTTPException(409, "a job still needs this upload; cancel it first")


@UPLOADS.get("/{name}/files/{file}")
def upload_file(request: Request, name: str, file: str) -> Response:
    """What is shown of an upload."""
    return _file(_server(request).upload(name).view(file))


@JOBS.post("", status_code=202)
def add_job(request: Request, asked: Asked) -> dict[str, str]:
    """Ask for a translation."""
    server = _server(request)
    upload = server.upload(asked.upload)
    wanted = asked.model_dump()
    job = server.jobs.add({**wanted, "work": server.offered.work(wanted, upload)}, upload)
    return {"job": job.id}


@JOBS.get("/{name}")
def job(request: Request, name: str) -> dict[str, Any]:
    """How far a job is."""
    server = _server(request)
    return server.jobs.record(server.job(name))


@JOBS.delete("/{name}", status_code=204)
def cancel_job(request: Request, name: str) -> None:
    """End a job, or remove one that is over."""
    server = _server(request)
    server.jobs.cancel(server.job(name))


@JOBS.get("/{name}/files/{file}")
def job_file(request: Request, name: str, file: str) -> Response:
    """What is shown of a result."""
    return _file(_server(request).job(name).file(file))


@JOBS.get("/{name}/download")
def download(request: Request, name: str, format: Literal["nifti", "dicom"] = "nifti") -> Response:
    """A result to take away."""
    job = _server(request).job(name)
    path = job.packed(format)
    if path is None:
        raise HTTPException(409, f"the translation is {job.state}; there is nothing to download")
    target = job.request["target"]
    title = f"synthetic_{target}_{format}_{job.id[:6]}.zip"
    return FileResponse(path, media_type=TYPES[".zip"], filename=title)


def _file(path: Path | None) -> Response:
    if path is None or not path.is_file():
        raise HTTPException(404, GONE)
    return FileResponse(path, media_type=TYPES.get(path.suffix, "application/octet-stream"))


def _input_error(request: Request, error: Exception) -> Response:
    status = {TooLarge: 413, TooMany: 429, NotReady: 409}.get(type(error), 422)
    return JSONResponse({"error": " ".join(str(error).split())}, status)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail)}, error.status_code)


def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        reason, place = first.get("ctx", {}).get("error", first["msg"]), first["loc"][-1]
        return JSONResponse({"error": f"the request: no JSON ({reason} after character {place})"}, 422)
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    return JSONResponse({"error": f"{place or 'the request'}: {first['msg']}"}, 422)
