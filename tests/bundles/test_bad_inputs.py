"""What users get wrong, through every bundle's workflow: one error that says what to do, and nothing is written."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from tests.bundles.conftest import Trained
from tests.bundles.row import Direction, Stage
from tests.bundles.tiny import BUNDLES, SPLIT, TINY, files_below, images_of, of_every_training, run
from transmodal.errors import InputError

Change = Callable[[Path], None]


@dataclass(frozen=True)
class Bad:
    """Something wrong with the data or the command.

    Args:
        name: of the test.
        wrong: what the error has to name: a file below the data's folder, or an id of the configuration.
        found, wanted, remedy: what it has to say.
        change: makes the file wrong.
        ids: what makes the command wrong.
    """

    name: str
    wrong: str
    found: str
    wanted: str
    remedy: str
    change: Change = lambda path: None
    ids: dict[str, Any] = field(default_factory=dict)


def voxels(edit: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Replace the voxels of a file and keep its place."""

    def change(path: Path) -> None:
        image = nib.load(path)
        nib.save(nib.Nifti1Image(edit(np.array(image.dataobj, np.float32)), image.affine), path)

    return change


def with_nan(values: np.ndarray) -> np.ndarray:
    values[(3, 4, 0)[: values.ndim]] = np.nan
    return values


def constant(values: np.ndarray) -> np.ndarray:
    return np.full_like(values, -7)


def moved(path: Path) -> None:
    """Shift the image by 30 mm."""
    image = nib.load(path)
    affine = image.affine.copy()
    affine[0, 3] += 30
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine), path)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def coloured(path: Path) -> None:
    """Put a colour picture in the file's place."""
    path.unlink()
    colours = np.tile(np.arange(32, dtype=np.uint8)[:, None, None], (1, 32, 3)) * np.array([1, 2, 4], np.uint8)
    Image.fromarray(colours).save(path.with_name(path.name.replace(".nii.gz", ".png")))


UNREADABLE = (
    Bad("nan", "{source}.nii.gz", "1 of", "finite values", "export the image again", voxels(with_nan)),
    Bad("constant", "{source}.nii.gz", "a constant image", "contrast", "check the export", voxels(constant)),
    Bad("truncated", "{source}.nii.gz", "cannot be read", "a complete", "copy or convert the file again", truncated),
)
COLOURED = Bad("colour", "{source}.png", "a colour", "one channel", "save it as 8-bit or 16-bit greyscale", coloured)
COLOURED_RADIOGRAPH = Bad(
    "colour", "xray.png", "colours in", "a picture in grey", "export the original picture", coloured
)
COMMANDS = (
    Bad("amp_as_text", "amp", "'true'", "True or False", "--amp True", ids={"amp": "true"}),
    Bad(
        "no_such_folder",
        "nowhere",
        "no folder",
        "an existing folder",
        "check the spelling",
        ids={"dataset_dir": "/nowhere"},
    ),
    Bad(
        "no_weights",
        "/nowhere/model.pt",
        "no such file",
        "trained weights",
        "train with",
        ids={"ckpt_path": "/nowhere/model.pt"},
    ),
)


def named(value: Any) -> str:
    if isinstance(value, tuple):
        return "-".join(map(named, value))
    return value if isinstance(value, str) else getattr(value, "name", None) or value.config


@dataclass(frozen=True)
class Attempt:
    """A bundle, a copy of its data with one case (and in training another one to validate), and an output folder."""

    trained: Trained
    folder: Path

    @property
    def training(self) -> str:
        """The config of the training that ``trained`` is of."""
        return self.trained.config

    @property
    def direction(self) -> Direction:
        return TINY[self.trained.bundle.name].directions[0]

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def file(self, modality: str) -> Path:
        """A file of the case that is translated or trained on."""
        return self.data / "phantom_000" / f"{modality}.nii.gz"

    def first_of(self, config: str) -> Path:
        """The file of that case which a config reads first."""
        bundle = self.trained.bundle
        made = TINY[bundle.name].reads if reads_made(bundle, config) else None
        folder = made[0] if made else "data"
        return self.folder / folder / "phantom_000" / f"{read_first(bundle, config)}.nii.gz"

    def needed_by(self, config: str) -> str:
        """A modality without which a config cannot do."""
        replaced = TINY[self.trained.bundle.name].replaced and config != "inference"
        return self.direction.target if replaced else self.direction.sources[0]

    def refusal(self, config: str, **ids: Any) -> InputError:
        """Run, and return the one error of ours in what the user then sees."""
        files = {"dataset_dir": self.data, "output_dir": self.folder / "output", "ckpt_path": self.trained.weights}
        if config.startswith("train"):
            files |= {
                key: self.folder / key if key.endswith("_dir") else made for key, made in self.trained.made.items()
            }
            files["ckpt_path"] = self.folder / "output" / "models" / "model.pt"
        given = {**{key: str(path) for key, path in files.items()}, **self.direction.ids, **ids}
        with pytest.raises(Exception) as caught:  # noqa: PT011  MONAI wraps errors in RuntimeError or leaves them
            run(self.trained.bundle, config, **given)
        errors = [error for error in chain(caught.value) if isinstance(error, InputError)]
        assert len(errors) == 1, [repr(error) for error in chain(caught.value)]
        seen = "".join(traceback.format_exception(caught.value))
        assert f"transmodal.errors.InputError: {errors[0]}" in seen
        return errors[0]

    def written(self) -> list[str]:
        """What was written, but for the record of a training's split and TensorBoard's empty files."""
        return [name for name in files_below(self.folder / "output") if name != SPLIT and "tfevents" not in name]


def chain(error: BaseException | None) -> list[BaseException]:
    """An error, what it was raised from, and so on."""
    return [] if error is None else [error, *chain(error.__cause__)]


def reads_made(bundle: Path, config: str) -> bool:
    """Whether a training starts from images that an earlier stage made."""
    return config == "train" and TINY[bundle.name].reads is not None


def unreadable(modality: str) -> list[Bad]:
    """What may be wrong with a file of a modality; a radiograph that is grey may well be stored in colour."""
    return [*UNREADABLE, COLOURED_RADIOGRAPH if modality == "xray" else COLOURED]


def read_first(bundle: Path, config: str) -> str:
    """Modality of the images that a config reads first."""
    row = TINY[bundle.name]
    stages = {stage.config: stage.reads for stage in row.before}
    made = row.reads[1] if row.reads and config == "train" else None
    return made or stages.get(config) or row.directions[0].sources[0]


WITH_IMAGES = [path for path in BUNDLES if path.name in TINY and TINY[path.name].directions]


TRAININGS = [(bundle, config) for bundle, config in of_every_training() if bundle in WITH_IMAGES]
BEFORE = [(bundle, stage) for bundle in WITH_IMAGES for stage in TINY[bundle.name].before]
TRANSLATED = [(bundle, bad) for bundle in WITH_IMAGES for bad in unreadable(read_first(bundle, "inference"))]
TRAINED_ON = [  # what a stage of ours has written is spoilt by no other kind of file
    (each, bad)
    for each in TRAININGS
    for bad in unreadable(read_first(*each))
    if bad.name != "colour" or not reads_made(*each)
]


@pytest.fixture(scope="session", params=WITH_IMAGES, ids=named)
def bundle(request: pytest.FixtureRequest) -> Path:
    """Each bundle that makes images; what a classification refuses is tested with it."""
    return request.param


@pytest.fixture(scope="session", params=TRAININGS, ids=lambda param: f"{param[0].name}-{param[1]}")
def training(request: pytest.FixtureRequest, train_once: Callable[[Path], Trained]) -> Trained:
    """Each training of each of these bundles."""
    bundle, config = request.param
    return train_once(bundle).stages.get(config) or train_once(bundle)


@pytest.fixture
def attempt(trained: Trained, tmp_path: Path) -> Attempt:
    return Attempt(with_copies(trained, tmp_path), tmp_path)


@pytest.fixture
def lesson(training: Trained, tmp_path: Path) -> Attempt:
    """The same for each training of each bundle that makes images."""
    return Attempt(with_copies(training, tmp_path), tmp_path)


def with_copies(trained: Trained, folder: Path) -> Trained:
    """Copy the data, and the images that earlier stages made of them, so that they can be spoilt."""
    shutil.copytree(trained.data, folder / "data")
    for key, made in trained.made.items():
        if key.endswith("_dir"):
            shutil.copytree(made, folder / key)
    return trained


@pytest.fixture
def one_case(attempt: Attempt) -> Attempt:
    shutil.rmtree(attempt.data / "phantom_001")
    return attempt


def assert_says(error: InputError, bad: Bad, source: str = "") -> None:
    assert bad.wrong.format(source=source) in error.where
    assert bad.found in error.found
    assert bad.wanted in error.wanted
    assert bad.remedy in error.remedy


@pytest.mark.parametrize(("bundle", "bad"), TRANSLATED, indirect=["bundle"], ids=named)
def test_inference_refuses_an_image(bad: Bad, one_case: Attempt) -> None:
    bad.change(one_case.file(one_case.direction.sources[0]))
    assert_says(one_case.refusal("inference"), bad, one_case.direction.sources[0])
    assert one_case.written() == []


@pytest.mark.parametrize(("training", "bad"), TRAINED_ON, indirect=["training"], ids=named)
def test_training_refuses_an_image_before_it_starts(bad: Bad, lesson: Attempt) -> None:
    image = lesson.first_of(lesson.training)
    bad.change(image)
    assert_says(lesson.refusal(lesson.training), bad, image.name.partition(".")[0])
    assert lesson.written() == []


def test_training_refuses_a_validation_image_before_it_starts(lesson: Attempt) -> None:
    """The second case validates, here after two epochs; found only then, its fault would have cost all that time."""
    bad = lesson.data / "phantom_001" / f"{lesson.direction.target}.nii.gz"
    voxels(with_nan)(bad)
    assert lesson.refusal(lesson.training, constant_epochs=2, val_interval=2).where == str(bad)
    assert lesson.written() == []


@pytest.mark.parametrize(("bundle", "stage"), BEFORE, ids=named)
def test_training_without_what_an_earlier_stage_makes_says_how_to_make_it(
    bundle: Path, stage: Stage, train_once: Callable[[Path], Trained], tmp_path: Path
) -> None:
    attempt = Attempt(with_copies(train_once(bundle), tmp_path), tmp_path)
    error = attempt.refusal("train", **{stage.makes: "/nowhere"})
    assert "/nowhere" in error.where
    assert error.found == "no such file"
    assert f"'configs/{stage.config}.json']" in error.remedy
    assert attempt.written() == []


@pytest.mark.parametrize(("bundle", "stage"), [each for each in BEFORE if not each[1].trains], ids=named)
def test_a_stage_that_translates_says_which_training_makes_its_weights(
    bundle: Path, stage: Stage, train_once: Callable[[Path], Trained], tmp_path: Path
) -> None:
    stages = TINY[bundle.name].before
    maker = stages[stages.index(stage) - 1].config
    attempt = Attempt(with_copies(train_once(bundle), tmp_path), tmp_path)
    error = attempt.refusal(stage.config, ckpt_path="/nowhere/model.pt")
    assert error.where == "/nowhere/model.pt"
    assert f"'configs/{maker}.json']" in error.remedy
    assert attempt.written() == []


@pytest.mark.parametrize("bad", COMMANDS, ids=named)
def test_inference_refuses_a_command(bad: Bad, one_case: Attempt) -> None:
    assert_says(one_case.refusal("inference", **bad.ids), bad)
    assert one_case.written() == []


@pytest.mark.parametrize("bad", COMMANDS[:2], ids=named)
def test_training_refuses_a_command(bad: Bad, lesson: Attempt) -> None:
    assert_says(lesson.refusal(lesson.training, **bad.ids), bad)
    assert lesson.written() == []


@pytest.mark.parametrize("config", ["inference", "evaluate", "train"])
def test_an_empty_folder_is_refused_with_the_layout_that_is_wanted(config: str, attempt: Attempt) -> None:
    shutil.rmtree(attempt.data)
    attempt.data.mkdir()
    error = attempt.refusal(config)
    assert error.where == str(attempt.data)
    assert error.found == "an empty folder, but no case"
    assert "dataset_dir/<case>/<modality>" in error.wanted
    assert attempt.written() == []


@pytest.mark.parametrize("config", ["inference", "evaluate", "train"])
def test_a_missing_modality_is_named_with_what_there_is(config: str, attempt: Attempt) -> None:
    needed = attempt.needed_by(config)
    for path in attempt.data.glob(f"*/{needed}.nii.gz"):
        path.unlink()
    error = attempt.refusal(config)
    assert str(attempt.data) in str(error)
    assert needed in error.wanted
    assert attempt.written() == []


@pytest.mark.parametrize("config", ["inference", "evaluate", "train"])
def test_a_modality_that_nobody_knows_is_named(config: str, attempt: Attempt) -> None:
    ids = TINY[attempt.trained.bundle.name].unknown
    error = attempt.refusal(config, **ids)
    assert all(str(name) in f"{error.found} {error.wanted}" for name in ids.values())
    assert str(attempt.data) in str(error) or error.where.startswith("configuration id")
    assert attempt.written() == []


@pytest.mark.parametrize(
    "bundle", [path for path in WITH_IMAGES if TINY[path.name].grid is None], indirect=True, ids=named
)
def test_evaluation_refuses_a_target_on_another_grid_before_it_translates(one_case: Attempt) -> None:
    source, target = (one_case.file(name) for name in (one_case.direction.sources[0], one_case.direction.target))
    moved(target)
    error = one_case.refusal("evaluate")
    assert error.where == str(source)
    assert error.found == f"another grid than {target}: origin by 30.00 mm"
    assert "resample one onto the other" in error.remedy
    assert one_case.written() == []


def test_weights_of_another_architecture_are_refused_by_name(one_case: Attempt, tmp_path: Path) -> None:
    weights = torch.load(one_case.trained.weights, weights_only=True)
    first = next(iter(weights))
    torch.save({**weights, first: weights[first][:1]}, tmp_path / "other.pt")
    error = one_case.refusal("inference", ckpt_path=str(tmp_path / "other.pt"))
    assert error.where == str(tmp_path / "other.pt")
    assert f"1 misshapen ({first}" in error.found
    assert "this very architecture" in error.remedy
    assert one_case.written() == []


def test_an_image_without_fault_is_not_refused(one_case: Attempt) -> None:
    """Or the refusals above would prove nothing."""
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        one_case.refusal("inference")
    bundle = one_case.trained.bundle
    images = [f"phantom_000/{name}" for name in images_of(bundle, one_case.direction.target)]
    assert one_case.written() == sorted([*images, *TINY[bundle.name].beside])
