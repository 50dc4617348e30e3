"""Training through the server, what a stop leaves behind, and weights that do not fit."""

from __future__ import annotations

import contextlib
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil
import pytest
import requests

from tests.integration.monailabel.conftest import CYCLEGAN, SYNDIFF
from tests.integration.monailabel.serving import PATIENCE, Server, image_in, start
from transmodal.checkpoints import read_checkpoint, save_weights
from transmodal.files import sha256_of

SHORT = {"device": "cpu", "max_epochs": 2, "val_split": 0.5}
ENDLESS = {**SHORT, "max_epochs": 1_000_000}


@pytest.fixture(scope="module")
def studies(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two MR images."""
    folder = tmp_path_factory.mktemp("studies")
    for name in ("first", "second"):
        shutil.copyfile(phantom / "mr.nii.gz", folder / f"{name}.nii.gz")
    return folder


@pytest.fixture(scope="module")
def server(packed: Path, studies: Path, phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose images have their CT as label, sent to it as a client does."""
    server = start(tmp_path_factory.mktemp("server"), packed, studies, "--models", f"{CYCLEGAN},{SYNDIFF}")
    for name in ("first", "second"):
        with (phantom / "ct.nii.gz").open("rb") as file:
            address = f"{server.url}/datastore/label"
            requests.put(
                address, params={"image": name, "tag": "final"}, files={"label": ("ct.nii.gz", file)}, timeout=60
            ).raise_for_status()
    yield server
    server.kill()


def train(server: Server, params: dict[str, object]) -> None:
    requests.post(f"{server.url}/train/{CYCLEGAN}", json=params, timeout=60).raise_for_status()


def task(server: Server) -> dict[str, object]:
    return dict(requests.get(f"{server.url}/train/", timeout=60).json())


@pytest.mark.parametrize("synchronous", ["true", "false"])
def test_code_in_a_request_is_refused_and_not_run(server: Server, tmp_path: Path, synchronous: str) -> None:
    ran = tmp_path / "ran"
    params = {**SHORT, "max_epochs": f'$__import__("os").system("touch {ran}") or 1'}
    address = f"{server.url}/train/{CYCLEGAN}"
    answer = requests.post(address, params={"run_sync": synchronous}, json=params, timeout=60)
    assert answer.status_code == 400
    assert "does not begin with" in answer.json()["detail"]
    assert task_or_none(server) is None
    assert not ran.exists()


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
def test_a_page_of_somebody_else_cannot_start_a_training(server: Server, headers: dict[str, str]) -> None:
    answer = requests.post(f"{server.url}/train/{CYCLEGAN}", json=SHORT, headers=headers, timeout=60)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    assert task_or_none(server) is None


@pytest.mark.parametrize("split", [0, 0.01])
def test_a_split_without_a_case_to_validate_with_is_refused(server: Server, split: float) -> None:
    params = {**SHORT, "val_split": split}
    answer = requests.post(f"{server.url}/train/{CYCLEGAN}", json=params, timeout=60)
    assert answer.status_code == 400
    assert "0 to validate with" in answer.json()["detail"]


def task_or_none(server: Server) -> object:
    """The last training, if there was one."""
    answer = requests.get(f"{server.url}/train/", timeout=60)
    return answer.json() if answer.ok else None


@dataclass
class Trained:
    """What two epochs of one iteration each changed."""

    status: object
    before: str
    after: str
    answers: tuple[np.ndarray, np.ndarray]
    said: str


@pytest.fixture(scope="module")
def trained(server: Server, phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    weights, folder = server.bundle(CYCLEGAN) / "models" / "model.pt", tmp_path_factory.mktemp("answers")

    def answer() -> np.ndarray:
        return image_in(server.infer(CYCLEGAN, phantom / "mr.nii.gz"), folder).get_fdata()

    before, first = sha256_of(weights), answer()
    train(server, SHORT)
    until = time.monotonic() + PATIENCE
    while task(server)["status"] in ("SUBMITTED", "RUNNING") and time.monotonic() < until:
        time.sleep(0.5)
    return Trained(task(server)["status"], before, sha256_of(weights), (first, answer()), server.said())


def test_two_iterations_of_training_end_well(trained: Trained) -> None:
    assert trained.status == "DONE", trained.said[-4000:]
    assert "AlternatingTrainer - INFO - Epoch[2] Complete" in trained.said


def test_the_trained_weights_replace_those_that_were_served(trained: Trained) -> None:
    assert trained.before != trained.after


def test_the_next_request_uses_the_trained_weights(trained: Trained) -> None:
    assert float(np.abs(trained.answers[0] - trained.answers[1]).max()) > 0


def test_a_cancelled_training_leaves_no_temporary_folder(trained: Trained, server: Server) -> None:
    said = len(server.said())
    train(server, ENDLESS)
    until = time.monotonic() + PATIENCE
    while "AlternatingTrainer - INFO - Epoch[1] Complete" not in server.said()[said:] and time.monotonic() < until:
        time.sleep(0.2)
    assert len(list(server.temporary.glob("**/label-*"))) == 2
    requests.delete(f"{server.url}/train/", timeout=60).raise_for_status()
    assert len(list(server.temporary.glob("**/label-*"))) == 1, "that of the server alone"


@dataclass
class Stopped:
    """A server that was told to end while it trained and while a request was under way."""

    server: Server
    status: int
    answer: requests.Response
    children: list[psutil.Process]


@pytest.fixture(scope="module")
def stopped(trained: Trained, server: Server, phantom: Path) -> Stopped:
    said = len(server.said())
    train(server, ENDLESS)
    until = time.monotonic() + PATIENCE
    while "AlternatingTrainer - INFO - Epoch[1] Complete" not in server.said()[said:] and time.monotonic() < until:
        time.sleep(0.2)
    children = psutil.Process(server.process.pid).children(recursive=True)
    answers: list[requests.Response] = []
    request = threading.Thread(
        target=lambda: answers.append(server.infer(SYNDIFF, phantom / "mr.nii.gz", num_samples=8))
    )
    said = len(server.said())
    request.start()
    while "Run Transform(s)" not in server.said()[said:] and time.monotonic() < until:
        time.sleep(0.05)
    status = server.stop()
    request.join(PATIENCE)
    return Stopped(server, status, answers[0], children)


def test_a_stopped_server_ends_in_order(stopped: Stopped) -> None:
    assert stopped.status == 0, stopped.server.said()[-4000:]


def test_a_stop_lets_the_request_under_way_be_answered(stopped: Stopped, phantom: Path, tmp_path: Path) -> None:
    answer = image_in(stopped.answer, tmp_path)
    assert answer.shape == nib.load(phantom / "mr.nii.gz").shape
    assert np.isfinite(answer.get_fdata()).all()


def test_a_stop_ends_the_training_too(stopped: Stopped) -> None:
    assert stopped.children, "nothing was trained when the server was stopped"
    assert not [child for child in stopped.children if child.is_running()]


def test_a_stop_leaves_whole_weights_and_nothing_half_written(stopped: Stopped) -> None:
    bundle = stopped.server.bundle(CYCLEGAN)
    assert read_checkpoint(bundle / "models" / "model.pt")
    assert not [path for path in bundle.rglob("*") if "partial" in path.name]


def test_a_stop_removes_the_temporary_images(stopped: Stopped) -> None:
    assert list(stopped.server.temporary.glob("**/*.nii.gz")) == []


def test_a_second_signal_ends_the_server_at_once_and_leaves_nothing(
    packed: Path, studies: Path, phantom: Path, tmp_path: Path
) -> None:
    server = start(tmp_path, packed, studies, "--models", SYNDIFF)
    asking = threading.Thread(target=_ask_for_long, args=(server, phantom / "mr.nii.gz"))
    asking.start()
    until = time.monotonic() + PATIENCE
    while "Run Transform(s)" not in server.said() and time.monotonic() < until:
        time.sleep(0.05)
    try:
        server.process.send_signal(signal.SIGTERM)
        time.sleep(1)
        assert server.process.poll() is None, "the first signal lets the request be answered"
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=20) == 128 + signal.SIGTERM
    finally:
        server.kill()
        asking.join(PATIENCE)
    assert list(server.temporary.glob("label-*")) == []


def _ask_for_long(server: Server, image: Path) -> None:
    with contextlib.suppress(requests.ConnectionError):
        server.infer(SYNDIFF, image, num_samples=100)


def test_weights_that_do_not_fit_keep_the_server_from_starting(
    shrunk: dict[str, Path], studies: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "bundles" / CYCLEGAN
    shutil.copytree(shrunk[CYCLEGAN], damaged)
    shutil.copytree(Path(__file__).parents[3] / "common" / "transmodal", damaged / "transmodal")
    weights = damaged / "models" / "model.pt"
    state = read_checkpoint(weights)
    missing = next(iter(state))
    save_weights({key: value for key, value in state.items() if key != missing}, weights)
    server = start(tmp_path, tmp_path / "bundles", studies, wait=False)
    try:
        assert server.process.wait(timeout=PATIENCE) != 0
    finally:
        server.kill()
    assert f"1 missing ({missing})" in server.said()
