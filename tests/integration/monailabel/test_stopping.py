"""What a stop leaves behind: of a training, of a request under way, of a second signal."""

from __future__ import annotations

import contextlib
import shutil
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil
import pytest
import requests

from tests.integration.monailabel.conftest import CYCLEGAN, SYNDIFF
from tests.integration.monailabel.serving import (
    INFERRING,
    PATIENCE,
    TRAINED_ONCE,
    Server,
    image_in,
    start,
    wait_until,
)
from transmodal.checkpoints import read_checkpoint
from transmodal.phantom import write_phantoms

ENDLESS = {"device": "cpu", "max_epochs": 1_000_000, "val_split": 0.5}
TOLD = "Told to stop"


@pytest.fixture(scope="module")
def names() -> list[str]:
    return [CYCLEGAN, SYNDIFF]


@pytest.fixture(scope="module")
def studies(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two MR images, with their CT as label."""
    folder = tmp_path_factory.mktemp("studies")
    (folder / "labels" / "final").mkdir(parents=True)
    for name in ("first", "second"):
        shutil.copyfile(phantom / "mr.nii.gz", folder / f"{name}.nii.gz")
        shutil.copyfile(phantom / "ct.nii.gz", folder / "labels" / "final" / f"{name}.nii.gz")
    return folder


@dataclass
class Stopped:
    """A server that was told to end while it trained and while a request was under way."""

    server: Server
    status: int
    answer: requests.Response
    children: list[psutil.Process]


@pytest.fixture(scope="module")
def stopped(packed: Path, studies: Path, phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stopped]:
    server = start(tmp_path_factory.mktemp("server"), packed, studies)
    try:
        server.ask("POST", f"/train/{CYCLEGAN}", json=ENDLESS).raise_for_status()
        server.hear(TRAINED_ONCE)
        children = psutil.Process(server.process.pid).children(recursive=True)
        answers: list[requests.Response] = []
        request = threading.Thread(
            target=lambda: answers.append(server.infer(SYNDIFF, phantom / "mr.nii.gz", num_samples=8))
        )
        said = len(server.said())
        request.start()
        server.hear(INFERRING, said)
        status = server.stop()
        request.join(PATIENCE)
        yield Stopped(server, status, answers[0], children)
    finally:
        server.kill()


def test_a_stopped_server_ends_in_order(stopped: Stopped) -> None:
    assert stopped.status == 0, stopped.server.said()[-4000:]


def test_a_stop_lets_the_request_under_way_be_answered(stopped: Stopped, phantom: Path, tmp_path: Path) -> None:
    answer = image_in(stopped.answer, tmp_path)
    assert answer.shape == nib.load(phantom / "mr.nii.gz").shape
    assert np.isfinite(answer.get_fdata()).all()


def test_a_stop_ends_the_training_too(stopped: Stopped) -> None:
    assert stopped.children, "nothing was trained when the server was stopped"
    wait_until(lambda: not any(map(runs, stopped.children)), "the end of the training")


def runs(process: psutil.Process) -> bool:
    """Whether a process does anything: one that ended stays in the list until somebody asks how."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_stop_leaves_whole_weights_and_nothing_half_written(stopped: Stopped) -> None:
    bundle = stopped.server.bundle(CYCLEGAN)
    assert read_checkpoint(bundle / "models" / "model.pt")
    assert not [path for path in bundle.rglob("*") if "partial" in path.name]


def test_a_stop_removes_the_temporary_images(stopped: Stopped) -> None:
    assert list(stopped.server.temporary.glob("**/*.nii.gz")) == []


def test_a_second_signal_ends_the_server_at_once_and_leaves_nothing(
    packed: Path, studies: Path, endless: Path, tmp_path: Path
) -> None:
    server = start(tmp_path, packed, studies, "--models", SYNDIFF)
    asking = threading.Thread(target=_ask_for_long, args=(server, endless))
    asking.start()
    try:
        server.hear(INFERRING)
        server.process.send_signal(signal.SIGTERM)
        server.hear(TOLD)
        assert server.process.poll() is None, "the first signal lets the request be answered"
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=PATIENCE) == 128 + signal.SIGTERM
    finally:
        server.kill()
        asking.join(PATIENCE)
    assert list(server.temporary.glob("label-*")) == []


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """An image of so many slices that a hundred samples of it would take any machine minutes."""
    return write_phantoms(tmp_path / "long", cases=1, shape=(40, 36, 400), modalities=("mr",))[0] / "mr.nii.gz"


def _ask_for_long(server: Server, image: Path) -> None:
    with contextlib.suppress(requests.ConnectionError):
        server.infer(SYNDIFF, image, num_samples=100)
