"""Bundles that are trained once for all tests, and a working directory in which nothing may be left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.bundles.tiny import BUNDLES, SPLIT, TINY, importable, of_every_training, prepared, run
from transmodal.phantom import write_phantoms


@dataclass(frozen=True)
class Trained:
    """A bundle after a tiny training.

    Args:
        bundle: its folder.
        data: what it was trained on.
        output: what the training wrote besides the weights.
        weights: model.pt, or those of a part.
        before: the network's weights before the training.
        iterations: how many the training took.
        config: what was run.
        made: what earlier stages made, by the ids under which this training reads it.
        stages: the trainings before this one, by their configs.
    """

    bundle: Path
    data: Path
    output: Path
    weights: Path
    before: dict[str, Tensor]
    iterations: int
    config: str = "train"
    made: Mapping[str, str] = field(default_factory=dict)
    stages: Mapping[str, Trained] = field(default_factory=dict)

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the parts of the network that the training reads and leaves as they are."""
        return tuple(key.removesuffix("_path") + "." for key in self.made if key.endswith("_path"))


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
    """Every stage of a bundle in small, in order; the last one is returned."""
    torch.set_num_threads(1)
    data = folder / "data"
    write_phantoms(data, cases=TINY[bundle.name].cases, **TINY[bundle.name].phantoms)
    made: dict[str, str] = {}
    stages: dict[str, Trained] = {}
    for stage in TINY[bundle.name].before:
        if stage.trains:
            result = stages[stage.config] = _trained(bundle, stage.config, data, folder / stage.config, made)
            made = {**made, stage.makes: str(result.weights)}
        else:
            output = folder / stage.config
            ids = {"dataset_dir": str(data), "output_dir": str(output), "datalist": str(result.output / SPLIT)}
            run(bundle, stage.config, **ids, ckpt_path=str(result.weights))
            made = {**made, stage.makes: str(output)}
    return _trained(bundle, "train", data, folder, made, stages)


def _trained(
    bundle: Path,
    config: str,
    data: Path,
    folder: Path,
    made: Mapping[str, str],
    stages: Mapping[str, Trained] | None = None,
) -> Trained:
    output, weights = folder / "output", folder / "models" / "model.pt"
    files = {"dataset_dir": str(data), "output_dir": str(output), "ckpt_path": str(weights)}
    workflow = prepared(bundle, config, **made, **files)
    with importable(bundle):
        network = workflow.parser.get_parsed_content("network")
        before = {name: value.clone() for name, value in network.state_dict().items()}
        workflow.run()
        workflow.finalize()
        trainer = workflow.parser.get_parsed_content("train#trainer")
    return Trained(bundle, data, output, weights, before, trainer.state.iteration, config, made, stages or {})


@pytest.fixture(scope="session", params=BUNDLES, ids=lambda path: path.name)
def bundle(request: pytest.FixtureRequest) -> Path:
    """Each bundle of this checkout."""
    return request.param


@pytest.fixture(scope="session")
def trained(bundle: Path, train_once: Callable[[Path], Trained]) -> Trained:
    """Each bundle of this checkout, trained."""
    return train_once(bundle)


@pytest.fixture(
    scope="session",
    params=of_every_training(),
    ids=lambda param: param[0].name if param[1] == "train" else f"{param[0].name}-{param[1]}",
)
def training(request: pytest.FixtureRequest, train_once: Callable[[Path], Trained]) -> Trained:
    """Each training of each bundle of this checkout: that of a bundle's last stage, and those of the stages before."""
    bundle, config = request.param
    last = train_once(bundle)
    return last.stages.get(config, last)
