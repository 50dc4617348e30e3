"""Each file of a CT or MR domain is judged by its own values, and every wrong one is named."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from transmodal import InputError
from transmodal.checkpoints import save_weights
from transmodal.data import check_domains
from transmodal.data.disguised_ct import WINDOWS, appearance, distances, views
from transmodal.data.domain_files import contents_of, wrong_files
from transmodal.networks.nets import CalibratedClassifier, SliceClassifier
from transmodal.phantom import Head, make_case

Images = dict[str, list[Path]]
COUNT = 6


def save(image: torch.Tensor, file: Path) -> Path:
    nibabel.save(nibabel.Nifti1Image(np.asarray(image, dtype=np.float32), np.eye(4)), file)  # type: ignore[attr-defined, no-untyped-call]
    return file


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """CT in HU, the same in 8 bits of a window, resampled with fractions, and MR, of six patients."""
    folder = tmp_path_factory.mktemp("heads")
    images: Images = {"ct": [], "grey": [], "resampled": [], "mr": []}
    for seed in range(COUNT):
        made = make_case(Head(), seed, shape=(32, 32, 6), modalities=("ct", "mr"))
        ct, mr = made["ct"][0].as_tensor(), made["mr"][0].as_tensor()
        kinds = {
            "ct": ct.round(),
            "grey": ((ct.round().clamp(-200, 500) + 200) / 700 * 255).round(),
            "resampled": ct.round() + 0.37,
            "mr": mr,
        }
        for name, image in kinds.items():
            images[name].append(save(image, folder / f"{seed}_{name}.nii"))
    return images


def check(ct: list[Path], mr: list[Path], **options: object) -> None:
    """Unpaired: a patient is another case in each domain, for phantoms differ more than patients do."""
    records = [{"case": f"c{path.name}", "ct": str(path)} for path in ct]
    records += [{"case": f"m{path.name}", "mr": str(path)} for path in mr]
    check_domains(records, {"ct": "ct", "mr": "mr"}, **options)  # type: ignore[arg-type]


def test_ct_in_hounsfield_units_and_mr_pass(heads: Images) -> None:
    check(heads["ct"], heads["mr"])


def test_ct_with_fractions_passes(heads: Images) -> None:
    check(heads["resampled"], heads["mr"])


def test_every_file_without_hounsfield_units_among_ct_is_named(heads: Images) -> None:
    mixed = [heads["mr"][0], *heads["ct"][1:5], heads["mr"][5]]
    with pytest.raises(
        InputError, match=r"0_mr\.nii: found no Hounsfield units in 2 of 6 files of the domain ct, also .*/5_mr\.nii"
    ):
        check(mixed, heads["mr"][1:5])


def test_grey_pictures_of_ct_among_mr_are_named(heads: Images) -> None:
    mixed = [*heads["grey"][:2], *heads["mr"][2:]]
    with pytest.raises(
        InputError, match=r"0_grey\.nii: found .* CT without its units .*\(2 of 6 files\), also .*/1_grey\.nii"
    ):
        check(heads["ct"], mixed)


def test_an_mr_domain_of_nothing_but_grey_pictures_of_ct_is_refused(heads: Images) -> None:
    with pytest.raises(InputError, match=r"look like CT without its units in the domain mr \(6 of 6 files\)"):
        check(heads["ct"], heads["grey"])


def test_a_single_lookalike_among_mr_is_only_warned_of(heads: Images, caplog: pytest.LogCaptureFixture) -> None:
    """Of 33 real patients' MR, 3 look like CT without its units; such a training must go on."""
    with caplog.at_level(logging.WARNING):
        check(heads["ct"], [heads["grey"][0], *heads["mr"][1:]])
    assert "look whether these images of mr are CT" in caplog.text
    assert "0_grey.nii" in caplog.text


def test_what_a_classifier_takes_for_mr_is_not_counted(heads: Images) -> None:
    ct = contents_of("ct", {f"c{n}": path for n, path in enumerate(heads["ct"])}, None)
    grey = contents_of("mr", {f"m{n}": path for n, path in enumerate(heads["grey"])}, None)
    assert len([*wrong_files({"ct": ct, "mr": grey})]) == 1
    assert [*wrong_files({"ct": ct, "mr": [replace(file, vote="mr") for file in grey]})] == []


def test_the_user_may_know_better(heads: Images, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check(heads["ct"], heads["grey"], anyway=True)
    assert "going on anyway" in caplog.text


def test_too_few_ct_are_not_compared_with_a_warning(heads: Images, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check(heads["ct"][:3], heads["grey"])
    assert "the files of mr are not compared with CT: fewer than 4 CTs in Hounsfield units" in caplog.text


def test_a_classifier_votes_on_each_file_that_its_values_do_not_tell(heads: Images, tmp_path: Path) -> None:
    network = CalibratedClassifier(SliceClassifier(channels=(8,), blocks=(1,)))
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    last = [value for name, value in network.named_parameters() if name.endswith("bias") and value.shape == (2,)]
    last[-1].data[0] = 50.0  # CT of everything
    save_weights(network.state_dict(), tmp_path / "model.pt")
    check(heads["ct"], heads["mr"])
    with pytest.raises(InputError, match=r"modality classifier takes for CT \(6 of 6 files\)"):
        check(heads["ct"], heads["mr"], classifier=str(tmp_path / "model.pt"))


def test_a_view_of_another_patient_is_near_and_its_own_is_not_asked() -> None:
    cts = [make_case(Head(), seed, shape=(32, 32, 6), modalities=("ct",))["ct"][0].round() for seed in range(2)]
    references = [views(ct) for ct in cts]
    assert references[0].shape == (len(WINDOWS), 16)
    low, high = WINDOWS[7]
    seen = appearance(((cts[0].clamp(low, high) - low) / (high - low) * 255).round())
    (itself,) = distances([seen], ["other"], references, ["a", "b"])
    (another,) = distances([seen], ["a"], references, ["a", "b"])
    assert itself < 1e-6 < another
    assert distances([seen], ["a"], references[:1], ["a"]) == [np.inf]


def test_real_mr_passes_and_real_ct_in_grey_does_not(shared: Path, tmp_path: Path) -> None:
    folders = sorted((shared / "data" / "ct_mr_pairs").glob("STS_*"))[:8]
    ct, mr = ([folder / f"{name}.mha" for folder in folders] for name in ("ct", "mr"))
    records = [{"case": f.parent.name, "ct": str(f), "mr": str(f.parent / "mr.mha")} for f in ct]
    domains = {"ct": "ct", "mr": "mr"}
    check_domains(records, domains)
    assert len(mr) == 8
    for number in (0, 3, 6):
        record = records[number]
        record["mr"] = str(save(_grey(Path(record["ct"])), tmp_path / f"{number}.nii"))
    with pytest.raises(InputError, match=r"look like CT without its units in the domain mr \([23] of 8 files\)"):
        check_domains(records, domains)


def _grey(file: Path) -> torch.Tensor:
    import SimpleITK

    values = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file))).transpose(2, 1, 0)
    return torch.from_numpy(((np.clip(values, -160, 240) + 160) * (255 / 400)).round())
