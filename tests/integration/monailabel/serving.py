"""A real MONAI Label server, started by the documented command, on loopback and cut off from every other machine."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import psutil
import requests

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PATIENCE = 1200
"""Seconds after which a test gives up waiting for what takes a moment; only a fault uses them up."""
RUNNING = re.compile(r"Uvicorn running on (http://127\.0\.0\.1:\d+)")
INFERRING, TRAINED_ONCE = "Run Transform(s)", "AlternatingTrainer - INFO - Epoch[1] Complete"
"""What the server says once an image is under way, and once a training has come through its first epoch."""


def wait_until(happened: Callable[[], Any], what: str) -> Any:
    """Look again and again, until there is something true to return.

    Raises:
        TimeoutError: if it does not come, with what was waited for.
    """
    end = time.monotonic() + PATIENCE
    while not (found := happened()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {PATIENCE} s")
        time.sleep(0.05)
    return found


@dataclass
class Server:
    """A server that runs, and what it may touch."""

    process: subprocess.Popen[bytes]
    app: Path
    temporary: Path
    log: Path
    left: Path
    """Where attempts to reach another machine are noted."""
    url: str = ""

    def infer(self, model: str, image: Path, output: str = "image", **params: Any) -> requests.Response:
        """Upload an image and have it translated, as every client of MONAI Label does."""
        with image.open("rb") as file:
            return self.ask(
                "POST",
                f"/infer/{model}",
                params={"output": output},
                data={"params": json.dumps({"device": "cpu", **params})},
                files={"file": (image.name, file)},
            )

    def ask(self, method: str, path: str, **content: Any) -> requests.Response:
        """Send a request, and wait for its answer."""
        return requests.request(method, f"{self.url}{path}", timeout=PATIENCE, **content)

    def label(self, image: str, file: Path) -> None:
        """Save a file as the final label of an image of the studies."""
        with file.open("rb") as content:
            where, what = {"image": image, "tag": "final"}, {"label": (file.name, content)}
            self.ask("PUT", "/datastore/label", params=where, files=what).raise_for_status()

    def bundle(self, name: str) -> Path:
        """Where the server unpacked a bundle to."""
        (root,) = self.app.glob(f"model/*/{name}")
        return root

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def hear(self, words: str, after: int = 0) -> None:
        """Wait until the server has said something, after so many characters of what it says.

        Raises:
            RuntimeError: if it ends in place of that.
        """
        self._until(lambda: words in self.said()[after:], repr(words))

    def wait_for_address(self) -> None:
        """Wait until it says where it is served.

        Raises:
            RuntimeError: if it ends in place of that.
        """
        self.url = self._until(lambda: RUNNING.search(self.said()), "the address")[1]

    def _until(self, happened: Callable[[], Any], what: str) -> Any:
        def look() -> Any:
            ended = self.process.poll()  # looked at first: what it said last counts
            if not (found := happened()) and ended is not None:
                raise RuntimeError(f"the server ended with {ended}:\n{self.said()[-4000:]}")
            return found

        try:
            return wait_until(look, what)
        except TimeoutError as error:
            raise TimeoutError(f"{error}:\n{self.said()[-4000:]}") from error

    def stop(self) -> int:
        """Tell it to end, as a service manager does, and its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE)

    def kill(self) -> None:
        """End it and what it started, if it did not end by itself."""
        if self.process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):  # it ends in this moment
                for child in psutil.Process(self.process.pid).children(recursive=True):
                    child.kill()
            self.process.kill()
            self.process.wait()


def start(folder: Path, bundles: Path, studies: Path, *options: str, wait: bool = True) -> Server:
    """Start a server whose app, logs and temporary files are in ``folder``; return when it answers, unless told not to.

    Raises:
        RuntimeError: if it ends in place of answering.
    """
    app, temporary, log, left = (folder / name for name in ("app", "temporary", "server.log", "left.txt"))
    shutil.copytree(
        ROOT / "tools" / "monailabel_app", app, ignore=shutil.ignore_patterns("__pycache__", "model", "logs")
    )
    temporary.mkdir()
    command = [sys.executable, str(ROOT / "tools" / "label.py"), "--bundles", str(bundles), "--studies", str(studies)]
    variables = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(HERE / "offline"),
        "LEFT_THE_MACHINE": str(left),
        "TMPDIR": str(temporary),
        "HOME": str(folder),
    }
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--port", "0", "--app", str(app), *options],  # the system gives it a port that nobody has
            env=variables,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    server = Server(process, app, temporary, log, left)
    if wait:
        try:
            server.wait_for_address()
        except BaseException:
            server.kill()
            raise
    return server


def image_in(response: requests.Response, folder: Path) -> nib.Nifti1Image:
    """The NIfTI image of an answer."""
    assert response.status_code == 200, response.text
    path = folder / "answer.nii.gz"
    path.write_bytes(response.content)
    image = nib.load(path)
    assert isinstance(image, nib.Nifti1Image)
    return nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
