"""Bundles in the hands of MONAI Label and MONAI Deploy: the same numbers as from the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import monai.bundle
import nibabel as nib
import numpy as np
import pytest
import torch

from contract import Bundle
from tests.packaging.consumers import DeployOperator, LabelInferTask, LabelTrainTask
from tests.packaging.tiny import GAINS, TEMPLATE, edit, give_weights, shrink, tiny_bundle, write_cases
from transmodal.phantom import Chest, write_phantoms
from transmodal.transforms import RadiographLoadImaged

ROOT = Path(__file__).resolve().parents[2]
ROUNDING = 0.51  # a synthetic CT is stored in whole HU where the consumers keep the float
MODALITIES = ("ct", "mr", "t1", "t1ce", "t2", "flair", "mask")
WITHOUT_IMAGES = ("ct_mr_modality_classification", "chest_ctpa_embolism_classification")
"""Bundles that answer with a word or a number; their own tests play their consumers."""
OF_RADIOGRAPHS = ROOT / "bundles" / "chest_xray_ctpa_translation"
"""Makes a volume of a picture, which MONAI Label would resize to the size of the picture, so it is not played here."""

REAL = sorted(
    path.parent
    for path in ROOT.glob("bundles/*/configs")
    if path.parent.name not in (*WITHOUT_IMAGES, OF_RADIOGRAPHS.name)
)


@pytest.fixture(params=[TEMPLATE, *REAL], ids=lambda path: path.name)
def any_bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Each bundle of the checkout in small, and the throw-away bundle, all with weights."""
    return shrink(request.param, tmp_path)


@pytest.fixture
def phantom(tmp_path: Path) -> Path:
    """A case folder, alone in its dataset."""
    return write_phantoms(tmp_path / "phantoms", cases=1, shape=(40, 36, 6), modalities=MODALITIES)[0]


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """A case folder with images whose every value is known."""
    return write_cases(tmp_path / "cases", "case_1") / "case_1"


def sources_of(bundle: Path) -> list[str]:
    """The modalities that a bundle translates unless told otherwise, in the order of the image's channels."""
    config = json.loads((bundle / "configs" / "inference.json").read_text())
    return [config["source"]] if "source" in config else list(config["orders"][config["target"]])


def source_of(bundle: Path) -> str:
    (source,) = sources_of(bundle)
    return source


def target_of(bundle: Path) -> str:
    config = json.loads((bundle / "configs" / "inference.json").read_text())
    target = str(config["target"])
    return {"mr": "ct", "ct": "mr"}[config["source"]] if target.startswith("$") else target


def image_of(bundle: Path, case: Path) -> Path:
    """What a client sends of a case: the image itself, or one file with all contrasts, which no folder of ours has."""
    paths = [case / f"{source}.nii.gz" for source in sources_of(bundle)]
    if len(paths) == 1:
        return paths[0]
    images = [nib.load(path) for path in paths]
    merged = case.parent.parent / f"{case.name}_contrasts.nii.gz"
    nib.save(
        nib.Nifti1Image(np.stack([image.get_fdata(dtype=np.float32) for image in images], -1), images[0].affine), merged
    )
    return merged


def command_line(bundle: Path, dataset: Path, output: Path, **overrides: Any) -> np.ndarray:
    """What ``python -m monai.bundle run`` writes, called in this process."""
    monai.bundle.run(
        config_file=str(bundle / "configs" / "inference.json"),
        bundle_root=str(bundle),
        dataset_dir=str(dataset),
        output_dir=str(output),
        device="cpu",
        **overrides,
    )
    (path,) = (path for path in output.rglob("*.nii.gz") if not path.name.endswith("_std.nii.gz"))
    return np.asarray(nib.load(path).dataobj, dtype=np.float32)


def test_label_answers_what_the_command_line_writes(any_bundle: Path, phantom: Path, tmp_path: Path) -> None:
    image = image_of(any_bundle, phantom)
    result = LabelInferTask(any_bundle)({"image": str(image), "device": "cpu"})
    expected = command_line(any_bundle, phantom.parent, tmp_path / "output")
    assert not result["resized"], "the answer has another size than the image"
    assert result["pred"].shape == nib.load(image).shape[:3]
    np.testing.assert_allclose(result["pred"].numpy(), expected, rtol=0, atol=ROUNDING)
    assert float(np.std(expected)) > (0 if target_of(any_bundle) == "mask" else ROUNDING)


def test_deploy_answers_what_the_command_line_writes(any_bundle: Path, phantom: Path, tmp_path: Path) -> None:
    image = nib.load(image_of(any_bundle, phantom))
    result = DeployOperator(any_bundle)(np.asarray(image.dataobj, dtype=np.float32), image.affine)
    expected = command_line(any_bundle, phantom.parent, tmp_path / "output")
    assert result.dtype != np.uint8 or target_of(any_bundle) == "mask"
    assert result.shape == image.shape[:3]
    np.testing.assert_allclose(result, expected, rtol=0, atol=ROUNDING)


def test_label_changes_direction_between_requests_on_the_same_network(
    any_bundle: Path, phantom: Path, tmp_path: Path
) -> None:
    if len(sources_of(any_bundle)) > 1:
        pytest.skip("one network makes one target; weights of another one are refused")
    if len(Bundle(any_bundle).metadata.get("translation", {}).get("directions", [])) == 1:
        pytest.skip("there is no other direction")
    source = source_of(any_bundle)
    other = {"mr": "ct", "ct": "mr"}[source]
    task = LabelInferTask(any_bundle)
    before = task({"image": str(phantom / f"{source}.nii.gz"), "device": "cpu"})["pred"]
    task.override(source=other)
    there = task({"image": str(phantom / f"{other}.nii.gz"), "device": "cpu"})["pred"]
    expected = command_line(any_bundle, phantom.parent, tmp_path / "output", source=other)
    np.testing.assert_allclose(there.numpy(), expected, rtol=0, atol=ROUNDING)
    task.override(source=source)
    back = task({"image": str(phantom / f"{source}.nii.gz"), "device": "cpu"})["pred"]
    torch.testing.assert_close(torch.as_tensor(back), torch.as_tensor(before), rtol=0, atol=0)


# the generator of ct_mr_stargan_translation waits for more turns of its critic than an epoch has here
@pytest.mark.filterwarnings(r"ignore:Detected call of .lr_scheduler.step\(\). before:UserWarning")
def test_label_trains_on_records_of_image_and_label(any_bundle: Path, tmp_path: Path) -> None:
    cases = write_phantoms(tmp_path / "phantoms", cases=2, shape=(40, 36, 6), modalities=MODALITIES)
    target = target_of(any_bundle)
    edit(any_bundle, "train", lambda config: config.update(output_dir=str(tmp_path / "trained"), val_interval=1))
    before = {path: path.read_bytes() for path in any_bundle.rglob("*.pt")}
    labels = [str(path / f"{target}.nii.gz") for path in cases]
    # the last of several stages starts from images that another one made: of the target, as the labels are
    images = labels if Bundle(any_bundle).stages else [str(image_of(any_bundle, path)) for path in cases]
    records = [{"image": image, "label": label} for image, label in zip(images, labels, strict=True)]
    LabelTrainTask(any_bundle)(records)
    written = [path for path in tmp_path.rglob("*.pt") if path.read_bytes() != before.get(path)]
    assert written, "training wrote no new weights"


@pytest.fixture
def of_radiographs(tmp_path: Path) -> Path:
    """The bundle that makes volumes of radiographs, in small and with weights."""
    return shrink(OF_RADIOGRAPHS, tmp_path)


@pytest.fixture
def chests(tmp_path: Path) -> list[Path]:
    """Two cases with a CT and a radiograph."""
    modalities = ("ct", "xray", "mask")
    return write_phantoms(
        tmp_path / "chests", cases=2, shape=(24, 24, 12), modalities=modalities, regions=[Chest()], xray_spacing=5.0
    )


def test_deploy_makes_of_a_radiograph_the_ct_that_the_command_line_writes(
    of_radiographs: Path, chests: list[Path], tmp_path: Path
) -> None:
    shutil.rmtree(chests[1])
    picture = RadiographLoadImaged("image")({"image": str(chests[0] / "xray.nii.gz")})["image"]
    result = DeployOperator(of_radiographs)(picture[0].numpy(), picture.affine.numpy())
    expected = command_line(of_radiographs, chests[0].parent, tmp_path / "output")
    np.testing.assert_allclose(result, expected, rtol=0, atol=ROUNDING)
    assert float(np.std(expected)) > ROUNDING


def test_label_trains_on_radiographs_and_the_ct_that_belong_to_them(
    of_radiographs: Path, chests: list[Path], tmp_path: Path
) -> None:
    edit(of_radiographs, "train", lambda config: config.update(output_dir=str(tmp_path / "trained"), val_interval=1))
    before = (of_radiographs / "models" / "model.pt").read_bytes()
    LabelTrainTask(of_radiographs)(
        [{"image": str(case / "xray.nii.gz"), "label": str(case / "ct.nii.gz")} for case in chests]
    )
    assert (of_radiographs / "models" / "model.pt").read_bytes() != before


def test_label_uses_the_generator_of_the_direction(bundle: Path, case: Path) -> None:
    task = LabelInferTask(bundle)
    ct = task({"image": str(case / "mr.nii.gz"), "device": "cpu"})["pred"]
    mr_image = torch.from_numpy(nib.load(case / "mr.nii.gz").get_fdata(dtype=np.float32))
    torch.testing.assert_close(torch.as_tensor(ct), GAINS["ct"] * mr_image, rtol=0, atol=1e-2)


def test_label_would_show_a_network_that_knows_its_direction_by_construction(bundle: Path, case: Path) -> None:
    """The imitation can fail: a direction baked into the network stays wrong on the cached network."""
    networks = bundle / "tiny_bundle" / "networks.py"
    text = networks.read_text().replace("self.ct, self.mr", "self.fixed = ct > 0\n        self.ct, self.mr")
    networks.write_text(text.replace('if target == "ct" else', "if self.fixed else"))
    edit(bundle, "inference", lambda config: config["network_def"].update(ct="$0.5 if @target == 'ct' else -0.5"))
    task = LabelInferTask(bundle)
    task({"image": str(case / "mr.nii.gz"), "device": "cpu"})
    task.override(source="ct")
    wrong = task({"image": str(case / "ct.nii.gz"), "device": "cpu"})["pred"]
    ct_image = torch.from_numpy(nib.load(case / "ct.nii.gz").get_fdata(dtype=np.float32))
    torch.testing.assert_close(torch.as_tensor(wrong), GAINS["ct"] * ct_image, rtol=0, atol=1e-2)


def test_label_loads_in_part_and_deploy_refuses(bundle: Path) -> None:
    """Why weights are checked before they are shipped: Label's loading is not strict."""
    torch.save({"ct.value": torch.ones(1)}, bundle / "models" / "model.pt")
    LabelInferTask(bundle)._network("cpu")
    with pytest.raises(RuntimeError, match=r"mr\.value"):
        DeployOperator(bundle)


def test_deploy_prefers_a_torchscript_file_which_is_why_none_is_shipped(bundle: Path, case: Path) -> None:
    stale = torch.jit.trace(torch.nn.Identity(), torch.zeros(1))
    torch.jit.save(stale, bundle / "models" / "model.ts")
    assert isinstance(DeployOperator(bundle).network, torch.jit.ScriptModule)


def test_two_bundles_in_one_process_run_their_own_networks(tmp_path: Path, case: Path) -> None:
    first = tiny_bundle(tmp_path)
    second = tiny_bundle(tmp_path, name="ct_mr_other_translation", package="other_bundle")
    networks = second / "other_bundle" / "networks.py"
    networks.write_text(networks.read_text().replace("image * self.value", "-image * self.value"))
    results = []
    for bundle in (first, second):
        give_weights(bundle)
        results.append(command_line(bundle, case.parent, tmp_path / bundle.name / "output"))
    np.testing.assert_allclose(results[0], -results[1], rtol=0, atol=1e-3)
    assert float(np.abs(results[0]).max()) > 0
