"""Bundles that are trained once for all tests, and a working directory in which nothing may be left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.bundles.tiny import BUNDLES, TINY, importable, prepared
from transmodal.phantom import write_phantoms


@dataclass(frozen=True)
class Trained:
    """A bundle after a tiny training.

    Args:
        bundle: its folder.
        data: what it was trained on.
        output: what the training wrote besides the weights.
        weights: model.pt.
        before: the network's weights before the training.
        iterations: how many the training took.
    """

    bundle: Path
    data: Path
    output: Path
    weights: Path
    before: dict[str, Tensor]
    iterations: int


@pytest.fixture(autouse=True)
def nothing_is_left_in_the_working_directory(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Run elsewhere than in the checkout, and refuse whatever is written there unasked."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    yield
    assert list(elsewhere.iterdir()) == []


@pytest.fixture(scope="session")
def train_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Trained]:
    """Train a bundle on its phantoms at the first call, and hand out the same result ever after."""
    done: dict[Path, Trained] = {}

    def train(bundle: Path) -> Trained:
        if bundle not in done:
            done[bundle] = _train(bundle, tmp_path_factory.mktemp(bundle.name))
        return done[bundle]

    return train


def _train(bundle: Path, folder: Path) -> Trained:
    torch.set_num_threads(1)
    data, output, weights = folder / "data", folder / "output", folder / "models" / "model.pt"
    write_phantoms(data, cases=2, **TINY[bundle.name].phantoms)
    workflow = prepared(bundle, "train", dataset_dir=str(data), output_dir=str(output), ckpt_path=str(weights))
    with importable(bundle):
        network = workflow.parser.get_parsed_content("network")
        before = {name: value.clone() for name, value in network.state_dict().items()}
        workflow.run()
        workflow.finalize()
        trainer = workflow.parser.get_parsed_content("train#trainer")
    return Trained(bundle, data, output, weights, before, trainer.state.iteration)


@pytest.fixture(scope="session", params=BUNDLES, ids=lambda path: path.name)
def bundle(request: pytest.FixtureRequest) -> Path:
    """Each bundle of this checkout."""
    return request.param


@pytest.fixture(scope="session")
def trained(bundle: Path, train_once: Callable[[Path], Trained]) -> Trained:
    """Each bundle of this checkout, trained."""
    return train_once(bundle)
