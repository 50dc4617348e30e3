"""A real MONAI Label server, started by the documented command, on loopback and cut off from every other machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import psutil
import requests

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PATIENCE = 180
"""Seconds that a server may take to start and a training to end on a busy machine."""


@dataclass
class Server:
    """A server that runs, and what it may touch."""

    process: subprocess.Popen[bytes]
    url: str
    app: Path
    temporary: Path
    log: Path
    left: Path
    """Where attempts to reach another machine are noted."""

    def infer(self, model: str, image: Path, output: str = "image", **params: Any) -> requests.Response:
        """Upload an image and have it translated, as every client of MONAI Label does."""
        with image.open("rb") as file:
            return requests.post(
                f"{self.url}/infer/{model}",
                params={"output": output},
                data={"params": json.dumps({"device": "cpu", **params})},
                files={"file": (image.name, file)},
                timeout=PATIENCE,
            )

    def bundle(self, name: str) -> Path:
        """Where the server unpacked a bundle to."""
        (root,) = self.app.glob(f"model/*/{name}")
        return root

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> int:
        """Tell it to end, as a service manager does, and its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE)

    def kill(self) -> None:
        """End it and what it started, if it did not end by itself."""
        if self.process.poll() is None:
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
    port = _free_port()
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
            [*command, "--port", str(port), "--app", str(app), *options],
            env=variables,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    server = Server(process, f"http://127.0.0.1:{port}", app, temporary, log, left)
    if wait:
        _wait_for(server)
    return server


def _wait_for(server: Server) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if server.process.poll() is not None:
            raise RuntimeError(f"the server ended with {server.process.returncode}:\n{server.said()[-4000:]}")
        try:
            if requests.get(f"{server.url}/info/", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.3)
    raise TimeoutError(server.said()[-4000:])


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def image_in(response: requests.Response, folder: Path) -> nib.Nifti1Image:
    """The NIfTI image of an answer."""
    assert response.status_code == 200, response.text
    path = folder / "answer.nii.gz"
    path.write_bytes(response.content)
    image = nib.load(path)
    assert isinstance(image, nib.Nifti1Image)
    return nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
