"""A real MONAI Label server with all packed bundles answers over REST what the command line writes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from monai.bundle import ConfigWorkflow

from tests.bundles.tiny import importable
from tests.integration.monailabel.conftest import CYCLEGAN, SYNDIFF
from tests.integration.monailabel.serving import HERE, PATIENCE, ROOT, Server, image_in, start, wait_until

NIFTI = ".nii.gz"
OTHER = {"ct": "mr", "mr": "ct"}
DIRECTIONS = [(CYCLEGAN, "mr"), (SYNDIFF, "mr"), (CYCLEGAN, "ct"), (SYNDIFF, "ct")]
"""Bundle and source, so that no request is of the bundle or the direction of the one before."""


@pytest.fixture(scope="module")
def server(packed: Path, phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start(tmp_path_factory.mktemp("server"), packed, phantom)
    try:
        yield server
        assert server.stop() == 0, server.said()[-4000:]
    finally:
        server.kill()


def command_line(bundle: Path, case: Path, output: Path, **ids: object) -> dict[str, nib.Nifti1Image]:
    """What ``python -m monai.bundle run`` writes of a case, called in this process, by the names of the files."""
    dataset = output / "cases"
    dataset.mkdir()
    (dataset / case.name).symlink_to(case)
    workflow = ConfigWorkflow(
        config_file=str(bundle / "configs" / "inference.json"),
        workflow_type="infer",
        logging_file=False,
        bundle_root=str(bundle),
        dataset_dir=str(dataset),
        output_dir=str(output / "results"),
        device="cpu",
        **ids,
    )
    with importable(bundle):
        workflow.initialize()
        workflow.run()
        workflow.finalize()
    return {path.name: nib.load(path) for path in (output / "results").rglob("*.nii.gz")}


@pytest.mark.parametrize(("name", "source"), DIRECTIONS)
def test_a_real_volume_comes_back_as_the_command_line_writes_it(
    server: Server, shrunk: dict[str, Path], patient: Path, tmp_path: Path, name: str, source: str
) -> None:
    direction = f"{source} to {OTHER[source]}"
    response = server.infer(name, patient / f"{source}.mha", direction=direction, result_extension=NIFTI)
    answer = image_in(response, tmp_path)
    expected = command_line(shrunk[name], patient, tmp_path, source=source)[f"{OTHER[source]}.nii.gz"]
    assert answer.get_data_dtype() == np.float32
    np.testing.assert_allclose(answer.affine, expected.affine, rtol=0, atol=1e-5)
    np.testing.assert_allclose(answer.dataobj, expected.get_fdata(), rtol=0, atol=1e-3)
    assert float(np.std(answer.dataobj)) > 1


def test_every_bundle_is_offered_as_type_others_with_its_own_options(server: Server, shrunk: dict[str, Path]) -> None:
    models = server.ask("GET", "/info/").json()["models"]
    assert {name: model["type"] for name, model in models.items()} == dict.fromkeys(shrunk, "others")
    assert models[CYCLEGAN]["config"]["direction"] == ["mr to ct", "ct to mr"]
    assert "seed" not in models[CYCLEGAN]["config"]
    own = {key: models[SYNDIFF]["config"][key] for key in ("seed", "num_samples", "result")}
    assert own == {"seed": 0, "num_samples": 1, "result": ["translation", "uncertainty"]}


def test_a_training_is_offered_of_bundles_that_make_images(server: Server, shrunk: dict[str, Path]) -> None:
    trainers = server.ask("GET", "/info/").json()["trainers"]
    assert set(trainers) == {name for name in shrunk if not name.endswith("_classification")}


@pytest.fixture(scope="module")
def images(phantom: Path, chest: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By a name of its own, an image for each bundle."""
    contrasts = [nib.load(phantom / f"{name}.nii.gz") for name in ("flair", "t2", "t1")]
    stacked = np.stack([image.get_fdata(dtype=np.float32) for image in contrasts], axis=-1)
    path = tmp_path_factory.mktemp("contrasts") / "contrasts.nii.gz"
    nib.save(nib.Nifti1Image(stacked, contrasts[0].affine), path)
    own = {"contrasts": path, "xray": chest / "xray.nii.gz", "angiogram": chest / "ct.nii.gz"}
    return {"ct": phantom / "ct.nii.gz", "mr": phantom / "mr.nii.gz", **own}


@pytest.mark.parametrize(
    ("bundle", "image", "params", "shape"),
    [
        ("ct_mr_cyclegan_translation", "mr", {}, (40, 36, 6)),
        ("ct_mr_stargan_translation", "ct", {"direction": "ct to mr"}, (40, 36, 6)),
        ("ct_mr_syndiff_translation", "mr", {}, (40, 36, 6)),
        ("ct_mr_mddga_translation", "ct", {"num_steps": 1}, (40, 36, 6)),
        ("brain_mri_mudiff_synthesis", "contrasts", {}, (40, 36, 6)),
        ("chest_xray_ctpa_translation", "xray", {"num_steps": 1}, (24, 24, 24)),
        ("ct_mr_body_segmentation", "ct", {"direction": "ct to mask"}, (40, 36, 6)),
    ],
)
def test_every_bundle_that_makes_images_answers_with_one(
    server: Server,
    images: dict[str, Path],
    tmp_path: Path,
    bundle: str,
    image: str,
    params: dict[str, object],
    shape: tuple[int, int, int],
) -> None:
    answer = image_in(server.infer(bundle, images[image], **params), tmp_path)
    assert answer.shape == shape
    assert float(np.std(answer.dataobj)) > 0


@pytest.mark.parametrize(
    ("bundle", "image", "said"),
    [
        ("ct_mr_modality_classification", "ct", "Hounsfield units"),
        ("chest_ctpa_embolism_classification", "angiogram", "pulmonary embolism"),
    ],
)
def test_classifiers_answer_in_words(
    server: Server, images: dict[str, Path], bundle: str, image: str, said: str
) -> None:
    about = server.infer(bundle, images[image], output="json").json()
    assert said in str(about["prediction"])


def test_a_direction_holds_for_its_request_alone(server: Server, phantom: Path, tmp_path: Path) -> None:
    before = image_in(server.infer(CYCLEGAN, phantom / "mr.nii.gz", direction="mr to ct"), tmp_path).get_fdata()
    between = image_in(server.infer(CYCLEGAN, phantom / "ct.nii.gz", direction="ct to mr"), tmp_path).get_fdata()
    after = image_in(server.infer(CYCLEGAN, phantom / "mr.nii.gz"), tmp_path).get_fdata()
    np.testing.assert_array_equal(before, after)
    assert float(between.min()) >= 0, "MR is written on a scale from 0"
    assert float(before.min()) < 0, "CT is written in HU"


def test_the_seed_of_a_request_is_used(server: Server, phantom: Path, tmp_path: Path) -> None:
    first, again, other = (
        image_in(server.infer(SYNDIFF, phantom / "mr.nii.gz", seed=seed), tmp_path).get_fdata() for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert float(np.abs(first - other).max()) > 0


def test_the_spread_of_samples_is_that_of_the_command_line(
    server: Server, shrunk: dict[str, Path], phantom: Path, tmp_path: Path
) -> None:
    response = server.infer(SYNDIFF, phantom / "mr.nii.gz", num_samples=2, result="uncertainty")
    expected = command_line(shrunk[SYNDIFF], phantom, tmp_path, num_samples=2)["ct_std.nii.gz"].get_fdata()
    np.testing.assert_allclose(image_in(response, tmp_path).get_fdata(), expected, rtol=0, atol=1e-3)
    assert float(expected.max()) > 0


def test_an_image_that_the_server_has_is_found_by_its_name(server: Server, phantom: Path, tmp_path: Path) -> None:
    by_name = server.ask("POST", f"/infer/{CYCLEGAN}", params={"image": "mr", "output": "image"})
    uploaded = server.infer(CYCLEGAN, phantom / "mr.nii.gz")
    np.testing.assert_array_equal(image_in(by_name, tmp_path).get_fdata(), image_in(uploaded, tmp_path).get_fdata())
    assert (phantom / "mr.nii.gz").is_file()


def test_a_result_in_another_format_lies_where_the_image_lies(server: Server, phantom: Path, tmp_path: Path) -> None:
    response = server.infer(CYCLEGAN, phantom / "mr.nii.gz", result_extension=".nrrd")
    (tmp_path / "answer.nrrd").write_bytes(response.content)
    answer, image = (sitk.ReadImage(str(path)) for path in (tmp_path / "answer.nrrd", phantom / "mr.nii.gz"))
    assert answer.GetSize() == image.GetSize()
    for of in ("GetOrigin", "GetSpacing", "GetDirection"):
        np.testing.assert_allclose(getattr(answer, of)(), getattr(image, of)(), atol=1e-4)


def test_with_the_result_comes_how_it_was_made(server: Server, phantom: Path) -> None:
    about = server.infer(SYNDIFF, phantom / "ct.nii.gz", output="json", direction="ct to mr", seed=3).json()
    assert (about["bundle"], about["version"]) == (SYNDIFF, "0.1.0")
    assert about["options"] == {"source": "ct", "target": "mr", "seed": 3, "num_samples": 1}
    assert about["notice"] == "synthetic - not for diagnosis"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"direction": "ct to pet"}, "wanted mr to ct or ct to mr"),
        ({"seed": "many"}, "wanted a whole number"),
        ({"result": "uncertainty"}, "num_samples from 2 on"),
        ({"result_dtype": "uint8"}, "a type that holds them"),
        ({"result_extension": ".exe"}, "wanted .nii.gz"),
    ],
)
def test_what_is_not_offered_is_refused_in_words(
    server: Server, phantom: Path, params: dict[str, str], said: str
) -> None:
    response = server.infer(SYNDIFF, phantom / "mr.nii.gz", **params)
    assert response.status_code == 400
    assert said in response.json()["detail"]


@pytest.mark.parametrize(
    ("bundle", "output", "params", "status", "said"),
    [
        (CYCLEGAN, "image", '{"device": "bogus"}', 400, "option device: found 'bogus'"),
        (CYCLEGAN, "image", "{", 400, "params is not JSON"),
        (CYCLEGAN, "image", "[1]", 400, "params is no JSON object"),
        (CYCLEGAN, "image", '{"device": "$__import__(\\"os\\")"}', 400, "does not begin with"),
        ("no_bundle", "image", "{}", 404, "no bundle no_bundle"),
        ("ct_mr_modality_classification", "image", "{}", 400, "answers in words"),
        (CYCLEGAN, "dicom_seg", "{}", 400, "DICOM SEG holds labels"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(
    server: Server, phantom: Path, bundle: str, output: str, params: str, status: int, said: str
) -> None:
    with (phantom / "mr.nii.gz").open("rb") as file:
        answer = server.ask(
            "POST",
            f"/infer/{bundle}",
            params={"output": output},
            data={"params": params},
            files={"file": ("mr.nii.gz", file)},
        )
    assert answer.status_code == status
    assert said in answer.json()["detail"]


@pytest.mark.parametrize("image", ["absent", "sitecustomize.py"])
def test_an_image_that_is_not_in_the_studies_is_told(server: Server, image: str) -> None:
    answer = server.ask("POST", f"/infer/{CYCLEGAN}", params={"image": image})
    assert (answer.status_code, answer.json()["detail"]) == (404, f"no image {image} in the studies")


def test_an_image_of_the_studies_is_translated_by_its_name(server: Server, tmp_path: Path) -> None:
    named = {"image": "mr", "output": "image"}
    answer = server.ask("POST", f"/infer/{CYCLEGAN}", params=named)
    assert image_in(answer, tmp_path).shape == (40, 36, 6)


@pytest.mark.parametrize("path", ["activelearning/nothing", "scoring/nothing", "train/nothing", "batch/infer/nothing"])
def test_a_task_that_is_not_there_is_told(server: Server, path: str) -> None:
    answer = server.ask("POST", f"/{path}", json={})
    assert answer.status_code == 404, answer.text
    assert "nothing" in answer.json()["detail"]


def test_an_image_that_cannot_be_used_is_refused_in_the_bundles_own_words(server: Server, tmp_path: Path) -> None:
    empty = tmp_path / "constant.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((16, 16, 4), np.float32), np.eye(4)), empty)
    response = server.infer(CYCLEGAN, empty)
    assert response.status_code == 400
    assert "What to do" in response.json()["detail"]


def test_nothing_of_a_request_stays_behind(server: Server, phantom: Path) -> None:
    server.infer(CYCLEGAN, phantom / "mr.nii.gz")
    server.infer(CYCLEGAN, phantom / "mr.nii.gz", direction="nowhere")
    (own,) = server.temporary.glob("label-*")
    assert own.stat().st_mode & 0o077 == 0, "others may look in"
    removed = "the removal of temporary images, which comes after the answer,"
    wait_until(lambda: not list(server.temporary.rglob("*.nii.gz")), removed)


def test_the_lines_for_3d_slicer_load_a_scalar_volume_of_floats(server: Server, phantom: Path, tmp_path: Path) -> None:
    """Run as written in the app's README, with a stand-in for what Slicer itself provides."""
    readme = (ROOT / "tools" / "monailabel_app" / "README.md").read_text(encoding="utf-8")
    lines = readme.split("```python\n")[1].split("```")[0].replace("http://127.0.0.1:8000", server.url)
    script = tmp_path / "in_slicer.py"
    script.write_text(lines, encoding="utf-8")
    variables = {"PYTHONPATH": str(HERE / "slicer"), "SCAN": str(phantom / "mr.nii.gz"), "LOADED": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(script)], env=variables, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    loaded = nib.load(tmp_path / "loaded.nii.gz")
    assert loaded.get_data_dtype() == np.float32
    assert loaded.shape == nib.load(phantom / "mr.nii.gz").shape
    assert "not for diagnosis" in (tmp_path / "name.txt").read_text()


def test_the_guard_against_the_network_is_there(server: Server, tmp_path: Path) -> None:
    variables = {"PYTHONPATH": str(HERE / "offline"), "LEFT_THE_MACHINE": str(tmp_path / "left.txt")}
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    assert subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True).returncode == 1
    assert "192.0.2.1" in (tmp_path / "left.txt").read_text()


def test_the_server_reaches_for_no_other_machine(server: Server, phantom: Path) -> None:
    assert server.infer(CYCLEGAN, phantom / "mr.nii.gz").ok
    assert not server.left.exists(), server.left.read_text()
