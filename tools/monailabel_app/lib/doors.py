"""What stands before MONAI Label's endpoints: who may ask, and what becomes of a bad request."""

from __future__ import annotations

import inspect
import ipaddress
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatch
from subprocess import TimeoutExpired
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from . import answered, fields, privacy

NAMES = ("image", "label", "id", "tag", "name", "session_id")
"""Parameters of addresses that MONAI Label makes paths of."""


class OwnOriginOnly:
    """Answers programs, and pages of this server alone, and of MONAI Label's requests those that nobody has to log in
    for.

    A page of somebody else's is told by its ``Origin``; one that made its own name mean this machine by ``Host``,
    which has to be an address, ``localhost`` or the name of this machine.

    Args:
        app: what answers where nothing is wrong.
        hosts: further names that this machine is reached by.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...] = ()) -> None:
        self.app = app
        self.hosts = {"localhost", socket.gethostname().lower(), *(host.lower() for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with 400, 403 or 404, or hand on."""
        if scope["type"] == "websocket":  # there are none
            return
        answer = self._refusal(scope) if scope["type"] == "http" else None
        await (answer or self.app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._ours(host):
            return _said(403, f"Host {host!r} is not this server; use its address, or start it with --conf hosts NAME")
        if origin is not None and origin.lower() != f"{scope['scheme']}://{host}".lower():
            return _said(403, f"Origin {origin!r} is not this server; pages of other sites are not answered")
        for key, value in parse_qsl(scope["query_string"].decode("latin-1")):
            if key in NAMES and (".." in value or set(value) & set("/\\\0")):
                return _said(400, f"{key}={value!r} is no name: it leads out of the studies")
        closed = answered.closed(scope["method"], scope["path"].removeprefix(scope.get("root_path", "")))
        return _said(*closed) if closed else None

    def _ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return name in self.hosts or bool(ipaddress.ip_address(name))
        except ValueError:
            return False


def guard(server: FastAPI, hosts: str) -> None:
    """Put the guard in the place of MONAI Label's own, which answers the pages of every origin with credentials."""
    names = tuple(name.strip() for name in hosts.split(",") if name.strip())
    server.user_middleware = [Middleware(OwnOriginOnly, hosts=names)]
    server.middleware_stack = server.build_middleware_stack()


def check_requests(app: Any) -> None:
    """Have every request that becomes a task checked before anything is made of it.

    Args:
        app: the MONAI Label app that answers.
    """
    from monailabel.config import settings
    from monailabel.endpoints import datastore, infer, session, wsi_infer
    from monailabel.utils.async_tasks.task import AsyncTask

    formats = settings.MONAI_LABEL_DATASTORE_FILE_EXT
    datastore.add_image = _images_alone(formats, "file", datastore.add_image)
    datastore.save_label = _images_alone(formats, "label", datastore.save_label)
    session.create_session = _no_archives(session.create_session)
    infer.run_inference = _checked_inference(app, infer.run_inference)
    wsi_infer.run_wsi_inference = _no_slides
    AsyncTask.run = staticmethod(_checked_task(app, AsyncTask.run))
    AsyncTask.stop = staticmethod(_tidied(AsyncTask.stop))


def _checked_inference(app: Any, run: Callable[..., Any]) -> Callable[..., Any]:
    def checked(
        background_tasks: Any,
        model: str,
        image: str = "",
        session_id: str = "",
        params: str = "{}",
        file: Any = None,
        label: Any = None,
        output: Any = None,
    ) -> Any:
        task = _known(app.infers(), model, "bundle")
        permitted = _in_words(fields.inference, _object(params))
        if session_id and not (app.sessions() and app.sessions().get_session(session_id)):
            raise HTTPException(404, f"no session {session_id}")
        if not file and not session_id and image not in app.datastore().list_images():
            raise HTTPException(404, f"no image {image} in the studies" if image else "send a file or name an image")
        if output == "dicom_seg":
            raise HTTPException(400, "DICOM SEG holds labels; ask for output=image or output=json")
        if output == "image" and not task.makes_images:
            raise HTTPException(400, f"{model} answers in words, not with an image; ask for output=json")
        return run(background_tasks, model, image, session_id, json.dumps(permitted), file, None, output)

    return checked


def _checked_task(app: Any, run: Callable[..., Any]) -> Callable[..., Any]:
    def checked(
        method: str, request: Any = None, params: Any = None, force_sync: bool = False, enqueue: bool = False
    ) -> Any:
        given = dict(request or {})
        if method == "train":
            task = _known(app.trainers(), given.get("model"), "training of a bundle")
            own = (params or {}).get(given["model"]) if isinstance((params or {}).get(given["model"]), dict) else params
            permitted = {**_in_words(fields.training, own or {}), "model": given["model"]}
            _in_words(lambda asked: task.require_cases(asked, app.datastore()), permitted)
        elif method == "batch_infer":
            _known(app.infers(), given.get("model"), "bundle")
            permitted = {**_in_words(fields.batch, params or {}), "model": given["model"], "images": given["images"]}
        else:
            _known(app.scoring_methods(), given.get("method"), "scoring method")
            permitted = {"method": given["method"]}
        return run(method, permitted, None, force_sync, enqueue)

    return checked


def _tidied(stop: Callable[[str], Any]) -> Callable[[str], Any]:
    def stopped(method: str) -> Any:
        from monailabel.utils.async_tasks.utils import processes

        running = list(processes(method).values())
        result = stop(method)
        for process in running[:1]:  # it was killed, and ends in a moment
            with suppress(TimeoutExpired):
                process.wait(timeout=60)
        privacy.remove_of_the_dead()
        return result

    return stopped


def _images_alone(formats: Sequence[str], field: str, keep: Callable[..., Any]) -> Callable[..., Any]:
    """Of what is uploaded into the studies only images: under another name it could take the place of their list."""
    names = inspect.signature(keep)

    def kept(*arguments: Any, **options: Any) -> Any:
        file = names.bind(*arguments, **options).arguments[field].filename
        if not any(fnmatch(file, pattern) for pattern in formats):
            raise HTTPException(
                400, f"{file!r} is no image of the studies; its name has to end as {', '.join(formats)}"
            )
        return keep(*arguments, **options)

    return kept


def _no_archives(create: Callable[..., Any]) -> Callable[..., Any]:
    def created(background_tasks: Any, uncompress: bool = False, expiry: int = 0, files: Any = ()) -> Any:
        if uncompress:
            raise HTTPException(400, "archives are not unpacked, for they may lead elsewhere; send the images in them")
        return create(background_tasks, uncompress, expiry, files)

    return created


def _no_slides(*arguments: Any, **options: Any) -> Any:
    raise HTTPException(404, "no bundle here works on slides")


def _object(params: str) -> dict[str, Any]:
    try:
        content = json.loads(params or "{}")
    except ValueError as error:
        raise HTTPException(400, f"params is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise HTTPException(400, 'params is no JSON object such as {"seed": 1}')
    return content


def _known(tasks: Mapping[str, Any], name: object, kind: str) -> Any:
    if name not in tasks:
        raise HTTPException(404, f"no {kind} {name}; there is {', '.join(tasks) or 'none'}")
    return tasks[name]


def _in_words(check: Callable[[Any], Any], given: Any) -> Any:
    from transmodal.errors import InputError  # comes with the bundles

    try:
        return check(given)
    except InputError as error:
        raise HTTPException(400, str(error)) from error


def _said(status: int, text: str) -> JSONResponse:
    return JSONResponse({"detail": text}, status_code=status)
