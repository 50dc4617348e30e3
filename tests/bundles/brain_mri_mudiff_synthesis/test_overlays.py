"""The overlays and options of the bundle, from files to files: tasks, published preparation, scales."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow

from tests.bundles.tiny import ROOT, TINY, importable, read
from transmodal.errors import InputError
from transmodal.phantom import Head, write_phantoms

BUNDLE = ROOT / "bundles/brain_mri_mudiff_synthesis"
ROW = TINY[BUNDLE.name]
CONTRASTS = ("t1", "t1ce", "t2", "flair")
SHAPE = (24, 26, 5)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two skull-stripped heads."""
    folder = tmp_path_factory.mktemp("heads")
    write_phantoms(folder, 2, shape=SHAPE, modalities=CONTRASTS, regions=[Head(skull_stripped=True)])
    return folder


def configured(*names: str, **ids: Any) -> ConfigParser:
    """Configs laid over one another, with ids on top."""
    parser = ConfigParser()
    parser.read_config([str(BUNDLE / "configs" / f"{name}.json") for name in names])
    parser.update({"bundle_root": str(BUNDLE), "device": "cpu", **ids})
    return parser


def value(parser: ConfigParser, key: str) -> Any:
    with importable(BUNDLE):
        return parser.get_parsed_content(key)


def run(data: Path, folder: Path, *names: str, **ids: Any) -> None:
    """Run configs in small; results, weights included, go into one folder."""
    training = names[0] == "train"
    files = {"bundle_root": BUNDLE, "dataset_dir": data, "output_dir": folder, "ckpt_path": folder / "model.pt"}
    files = {"device": "cpu", **{name: str(path) for name, path in files.items()}}
    workflow = ConfigWorkflow(
        config_file=[str(BUNDLE / "configs" / f"{name}.json") for name in names],
        workflow_type="train" if training else "infer",
        logging_file=False,
        **{**files, **ROW.network, **(ROW.training if training else {}), **ids},
    )
    with importable(BUNDLE):
        workflow.initialize()
        workflow.run()
        workflow.finalize()


@pytest.mark.parametrize(
    ("overlays", "target", "sources"),
    [
        ((), "t1ce", ["flair", "t2", "t1"]),
        ((), "flair", ["t1ce", "t1", "t2"]),
        ((), "t2", ["t1ce", "t1", "flair"]),
        ((), "t1", ["flair", "t1ce", "t2"]),
        (("isles",), "flair", ["t1", "t2", "dwi"]),
        (("isles",), "t1", ["t2", "dwi", "flair"]),
    ],
)
def test_a_target_has_the_published_sources_in_the_published_order(
    overlays: tuple[str, ...], target: str, sources: list[str]
) -> None:
    for config in ("train", "inference"):
        parser = configured(config, *overlays, target=target, **ROW.network)
        assert value(parser, "sources") == sources
        assert str(value(parser, "network_def").task) == f"{'+'.join(sources)} to {target}, T=4"


def test_the_overlay_of_isles_makes_flair_unless_told_otherwise() -> None:
    assert value(configured("inference", "isles"), "target") == "flair"


def test_a_target_of_the_other_data_set_is_refused() -> None:
    with pytest.raises(RuntimeError) as caught:  # MONAI's
        value(configured("inference", "isles", target="t1ce"), "sources")
    assert "no sources for the target 't1ce'" in str(caught.value.__cause__)


@pytest.mark.parametrize("overlays", [(), ("small",), ("published_preprocessing",), ("normalised",)])
def test_flips_are_between_left_and_right(overlays: tuple[str, ...]) -> None:
    parser = configured("train", *overlays)
    assert value(parser, "axcodes")[value(parser, "flip_axis")] in "LR"


def test_two_sources_of_choice_train_and_synthesise(data: Path, tmp_path: Path) -> None:
    task = {"target": "t2", "sources": ["t1", "flair"]}
    run(data, tmp_path, "train", **task)
    run(data, tmp_path / "out", "inference", **task, ckpt_path=str(tmp_path / "model.pt"))
    assert {path.name for path in (tmp_path / "out").rglob("*.nii.gz")} == {"t2.nii.gz", "t2_std.nii.gz"}


@pytest.mark.parametrize("change", [{"sources": ["t2", "flair", "t1"]}, {"target": "t2"}, {"num_timesteps": 2}])
def test_weights_of_another_task_are_refused_where_nothing_is_written(
    data: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    run(data, tmp_path, "train")
    with pytest.raises(RuntimeError) as caught:
        run(data, tmp_path / "out", "inference", ckpt_path=str(tmp_path / "model.pt"), **change)
    errors = []
    error: BaseException | None = caught.value
    while error is not None:
        errors.append(error)
        error = error.__cause__
    (told,) = {str(each) for each in errors if isinstance(each, InputError)}
    assert "flair+t2+t1 to t1ce, T=4" in told
    assert told.startswith(str(tmp_path / "model.pt"))
    assert not (tmp_path / "out").exists()


def test_the_published_preparation_leaves_background_outside_the_middle_slices(data: Path, tmp_path: Path) -> None:
    """Of 5 slices the middle 3 are used; the result lies on the source's grid, empty where the network saw nothing."""
    ids = {"fit#slices": 3, "fit_mask#slices": 3}
    run(data, tmp_path, "train", "published_preprocessing", **ids)
    run(data, tmp_path / "out", "inference", "published_preprocessing", ckpt_path=str(tmp_path / "model.pt"), **ids)
    made, affine = read(tmp_path / "out" / "phantom_000" / "t1ce.nii.gz")
    source, wanted = read(data / "phantom_000" / "flair.nii.gz")
    assert made.shape == source.shape
    np.testing.assert_allclose(affine, wanted, atol=1e-4)
    assert (made[..., [0, 4]] == 0).all()
    assert (made[..., 1:4].std(axis=(0, 1)) > 0).all()
    deviation, _ = read(tmp_path / "out" / "phantom_000" / "t1ce_std.nii.gz")
    assert (deviation[..., [0, 4]] == 500).all()  # half the scale: nothing is known there
    assert (deviation[..., 1:4] < 500).all()


def test_the_published_preparation_reaches_the_network_with_its_values(data: Path) -> None:
    """Percentiles 1 and 99 of the voxels above 0 of the whole volume become -1 and 1, rows run to the back."""
    parser = configured(
        "inference", "published_preprocessing", patch=[24, 26], **{"fit#slices": 5, "fit_mask#slices": 5}
    )
    paths = [str(data / "phantom_000" / f"{name}.nii.gz") for name in ("flair", "t2", "t1")]
    image = np.asarray(value(parser, "preprocessing")({"image": paths})["image"])
    flair, _ = read(data / "phantom_000" / "flair.nii.gz")
    low, high = np.percentile(flair[flair > 0], [1, 99])
    expected = (np.clip(flair, low, high) - low) / (high - low) * 2 - 1
    # phantoms are stored to the left and back, so rows to the back and columns to the left are the transpose
    np.testing.assert_allclose(image[0], resized(expected.transpose(1, 0, 2), (24, 26)), atol=1e-4)


def resized(volume: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from skimage.transform import resize

    slices = [resize(volume[..., k], size, order=1, mode="constant", cval=-1) for k in range(volume.shape[2])]
    return np.stack(slices, axis=-1)


def test_values_in_zero_to_one_are_taken_as_they_are(tmp_path: Path) -> None:
    images = np.random.default_rng(0).uniform(0, 1, (3, 12, 14, 2)).astype(np.float32)
    paths = []
    for name, image in zip(("flair", "t2", "t1"), images, strict=True):
        paths.append(str(tmp_path / f"{name}.nii.gz"))
        nib.save(nib.Nifti1Image(image, np.diag([-1, -1, 1, 1])), paths[-1])
    parser = configured("inference", "normalised", patch=[14, 12])
    seen = np.asarray(value(parser, "preprocessing")({"image": paths})["image"])
    np.testing.assert_allclose(seen, images.transpose(0, 2, 1, 3) * 2 - 1, atol=1e-6)


def test_a_synthetic_contrast_can_be_written_on_the_range_of_a_source(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path, "train")
    weights = str(tmp_path / "model.pt")
    for name, like in (("documented", None), ("like", "t1")):
        run(data, tmp_path / name, "inference", ckpt_path=weights, like=like)
    files = [[read(tmp_path / name / "phantom_000" / f)[0] for name in ("documented", "like")] for f in FILES]
    (documented, like), (deviation, like_deviation) = files
    t1, _ = read(data / "phantom_000" / "t1.nii.gz")
    upper = like.max() / documented.max() * 1000
    assert np.percentile(t1[t1 > 0], 98) <= upper <= t1.max()
    np.testing.assert_allclose(like, documented * upper / 1000, rtol=1e-4)  # a factor: the background stays 0
    np.testing.assert_allclose(like_deviation, deviation * upper / 1000, rtol=1e-4)


def test_an_evaluation_is_on_the_documented_scale_whatever_the_range_asked_for(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path, "train")
    for name, like in (("documented", None), ("like", "t1")):
        run(data, tmp_path / name, "inference", "evaluate", ckpt_path=str(tmp_path / "model.pt"), like=like)
    first, second = ((tmp_path / name / "metrics.csv").read_text() for name in ("documented", "like"))
    assert first == second


@pytest.mark.parametrize("overlays", [("evaluate", "normalised"), ("normalised", "evaluate")])
def test_baselines_of_normalised_images_have_their_resolution_in_any_order(overlays: tuple[str, ...]) -> None:
    parser = configured("inference", *overlays)
    table = next(each for each in value(parser, "baselines") if each.name == "look-up table")
    assert (table.low, table.high, table.resolution) == (0, 1.5, 0.001)
    assert value(parser, "similarity").scale == 1


FILES = ("t1ce.nii.gz", "t1ce_std.nii.gz")


def test_the_published_weighting_is_a_state_of_the_training(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path, "train", "published_weighting", **{"weighting_def#channels": 8})
    state = torch.load(tmp_path / "resume.pt", weights_only=True)["state"]
    assert state["objective"]["weighting"]["projection.weight"].shape == (1, 8, 1, 1)
