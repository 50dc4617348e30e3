"""Hosts of a release, as servers on this machine: a web server, GitHub and the Hugging Face hub.

Each answers as the real one does to what MONAI asks of it, from the files of a release; nothing here helps a release
that the real host would not help.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Answer = tuple[bytes, dict[str, str]]
Site = Callable[[str], Answer | None]
"""From the path of an address to content and headers; None for what is not there."""


@contextmanager
def serving(site: Site) -> Iterator[tuple[str, list[str]]]:
    """The address of a server on this machine, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            asked.append(path)
            content, headers = site(path) or (b"", {})
            self.send_response(200 if headers else 404)
            for key, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the test's output is the test's."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def web(folder: Path) -> Site:
    """A web server with the folder at its root."""

    def answer(path: str) -> Answer | None:
        file = (folder / path.lstrip("/")).resolve()
        inside = file.is_relative_to(folder.resolve()) and file.is_file()
        return (file.read_bytes(), {"Content-Type": "application/octet-stream"}) if inside else None

    return answer


def github(release: Path, repository: str, tag: str) -> Site:
    """A repository with ``models/model_info.json`` at a tag, and a release of that tag with zips and weights as assets.

    Hosts are the first part of a path: ``/github.com/…``, ``/raw.githubusercontent.com/…``, ``/api.github.com/…``.
    """
    assets = {path.name: path for kind in ("*.zip", "*.pt") for path in release.glob(kind)}
    listed = [{"name": name, "browser_download_url": f"https://github.com/{name}"} for name in assets]

    def answer(path: str) -> Answer | None:
        host, _, rest = path.lstrip("/").partition("/")
        if host == "github.com" and rest.startswith(f"{repository}/releases/download/{tag}/"):
            asset = assets.get(rest.rpartition("/")[2])
            return (asset.read_bytes(), {"Content-Type": "application/octet-stream"}) if asset else None
        if (host, rest) == ("raw.githubusercontent.com", f"{repository}/{tag}/models/model_info.json"):
            return (release / "models" / "model_info.json").read_bytes(), {"Content-Type": "text/plain"}
        if (host, rest) == ("api.github.com", f"repos/{repository}/releases"):
            return _json([{"tag_name": tag, "assets": listed}])
        return None

    return answer


def hub(folder: Path, repository: str) -> Site:
    """A repository of the hub whose only branch has the files of a folder."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    about = f"/api/models/{repository}"

    def answer(path: str) -> Answer | None:
        if path == f"{about}/refs":
            branch = {"name": "main", "ref": "refs/heads/main", "targetCommit": COMMIT}
            return _json({"branches": [branch], "converts": [], "tags": []})
        if path == f"{about}/revision/main":
            return _json({"id": repository, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]})
        if path == f"{about}/tree/{COMMIT}":
            entries = {name: file.read_bytes() for name, file in files.items()}
            return _json([_entry(name, content) for name, content in entries.items()])
        name = path.removeprefix(f"/{repository}/resolve/{COMMIT}/")
        if name not in files:
            return None
        content = files[name].read_bytes()
        return content, {"ETag": f'"{_blob(content)}"', "X-Repo-Commit": COMMIT}

    return answer


def _entry(name: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "path": name, "size": len(content), "oid": _blob(content)}


def _blob(content: bytes) -> str:
    """As git names it."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _json(content: Any) -> Answer:
    return json.dumps(content).encode(), {"Content-Type": "application/json"}
