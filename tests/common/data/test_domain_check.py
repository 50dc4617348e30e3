"""Domains are what they claim to be: by content, by units, and by what their volumes look like."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
import pytest
from monai.transforms import Compose

from transmodal import InputError
from transmodal.data import VolumeSlices, check_domains
from transmodal.data.domain_check import Volume, nearness, separability
from transmodal.phantom import Head, Thigh, make_case
from transmodal.transforms import (
    BodyMask,
    BodyMaskd,
    CheckedLoadImaged,
    EnsureVolumed,
    HounsfieldWindow,
    RobustPercentiles,
    ScaleModalityd,
)

Records = list[dict[str, str]]
INTENSITY = {"ct": HounsfieldWindow(), **dict.fromkeys(("mr", "t1", "t2"), RobustPercentiles())}
BODY = {"ct": BodyMask(-500), **dict.fromkeys(("mr", "t1", "t2"), BodyMask())}
CASES = 5


def preprocessing() -> Compose:
    return Compose(
        [
            CheckedLoadImaged("image", "mr"),
            EnsureVolumed("image"),
            BodyMaskd("image", "mr", BODY),
            ScaleModalityd("image", "mr", INTENSITY),
        ]
    )


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Records:
    """Ten patients with T1, T2 and CT of the head."""
    return written(tmp_path_factory.mktemp("heads"), Head())


def written(folder: Path, region: Head | Thigh) -> Records:
    records = []
    for seed in range(2 * CASES):
        images = make_case(region, seed, shape=(24, 24, 6), modalities=("ct", "t1", "t2"))
        files = {name: folder / f"{seed}_{name}.nii" for name in ("ct", "t1", "t2")}
        for name, file in files.items():
            image = np.asarray(images[name][0], dtype=np.float32)
            nibabel.save(nibabel.Nifti1Image(image, images[name].affine.numpy()), file)
        records.append({"case": str(seed)} | {name: str(file) for name, file in files.items()})
    return records


def volumes(records: Records, domains: dict[str, str]) -> dict[str, list[Volume]]:
    return {
        name: VolumeSlices(records, preprocessing(), key=key, modality=name).volumes for key, name in domains.items()
    }


def check(records: Records, domains: dict[str, str], **options: bool) -> None:
    check_domains(records, domains, volumes(records, domains), **options)


def drawn(records: Records, **keys: Sequence[str]) -> Records:
    """Records with the named image of each case in turn under each key, for cases that have a name there."""
    return [
        {"case": record["case"]} | {key: record[names[number]] for key, names in keys.items() if names[number]}
        for number, record in enumerate(records)
    ]


ONE_HALF, OTHER_HALF = [True, False] * CASES, [False, True] * CASES


def half(which: Sequence[bool], *names: str) -> list[str]:
    """One of the names in turn for the cases of a half."""
    return [names[number // 2 % len(names)] if taken else "" for number, taken in enumerate(which)]


@pytest.mark.parametrize("second", ["ct", "t2"])
def test_different_modalities_pass(heads: Records, second: str) -> None:
    check(drawn(heads, image=half(ONE_HALF, "t1"), label=half(OTHER_HALF, second)), {"image": "t1", "label": second})


def test_registered_pairs_pass(heads: Records) -> None:
    keys = {"image": ["t1"] * 2 * CASES, "label": ["ct"] * 2 * CASES, "t2": ["t2"] * 2 * CASES}
    check(drawn(heads, **keys), {"image": "t1", "label": "ct", "t2": "t2"})


def test_one_modality_split_into_test_and_train_is_refused(heads: Records) -> None:
    """What a published StarGAN was trained on."""
    split = drawn(heads, image=half(ONE_HALF, "t1"), label=half(OTHER_HALF, "t1"))
    with pytest.raises(InputError) as error:
        check(split, {"image": "t1", "label": "t2"})
    told = str(error.value)
    assert "domains t1 (5 volumes) and t2 (5 volumes): found images that cannot be told apart" in told
    assert "(chance is 50%, 100% are wanted)" in told
    assert "training and test cases" in told


def test_one_mixture_of_two_modalities_split_into_test_and_train_is_refused(heads: Records) -> None:
    mixture = drawn(heads, image=half(ONE_HALF, "t1", "t2"), label=half(OTHER_HALF, "t1", "t2"))
    with pytest.raises(InputError, match="cannot be told apart by their intensities"):
        check(mixture, {"image": "t1", "label": "t2"})


def test_the_user_may_know_better(heads: Records, caplog: pytest.LogCaptureFixture) -> None:
    split = drawn(heads, image=half(ONE_HALF, "t1"), label=half(OTHER_HALF, "t1"))
    with caplog.at_level(logging.WARNING, logger="transmodal.data.domain_check"):
        check(split, {"image": "t1", "label": "t2"}, anyway=True)
    assert "going on anyway: domains t1 (5 volumes) and t2 (5 volumes)" in caplog.text


def test_too_few_volumes_are_not_compared_with_a_warning(heads: Records, caplog: pytest.LogCaptureFixture) -> None:
    split = drawn(heads[:6], image=half(ONE_HALF, "t1"), label=half(OTHER_HALF, "t1"))
    with caplog.at_level(logging.WARNING, logger="transmodal.data.domain_check"):
        check(split, {"image": "t1", "label": "t2"})
    assert "domains t1 and t2 are not compared: fewer than 4 volumes in one of them" in caplog.text


def test_two_strangers_in_a_domain_are_named(heads: Records) -> None:
    """As many as leave the share of correct assignments above what is wanted."""
    records = drawn(heads, image=["t2", *["t1"] * 8, "t2"], label=["", *["t2"] * 8, ""])
    with pytest.raises(
        InputError, match=r"domain t1 \(10 volumes\): found 2 images that look .* t2: .*/0_t2\.nii, .*/9_t2\.nii"
    ):
        check(records, {"image": "t1", "label": "t2"})


def test_a_file_in_two_domains_is_refused_whatever_its_name(heads: Records, tmp_path: Path) -> None:
    copy = tmp_path / "other.nii"
    copy.write_bytes(Path(heads[3]["t1"]).read_bytes())
    records = [{"case": "a", "image": heads[3]["t1"]}, {"case": "b", "label": str(copy)}]
    with pytest.raises(
        InputError, match=r"other\.nii: found the same content in the domains t1 \(.*3_t1\.nii\) and t2"
    ):
        check_domains(records, {"image": "t1", "label": "t2"})


def test_a_folder_of_dicom_files_in_two_domains_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(2):
            (tmp_path / name / f"{number}.dcm").write_bytes(bytes([number]) * 200)
    records = [{"case": "x", "image": str(tmp_path / "a"), "label": str(tmp_path / "b")}]
    with pytest.raises(InputError, match=r"b: found the same content in the domains xray \(.*/a\) and dwi2"):
        check_domains(records, {"image": "xray", "label": "dwi2"})


def test_the_same_mask_for_two_domains_is_no_matter(heads: Records) -> None:
    records = [{"case": "a", "image": heads[0]["t1"], "label": heads[1]["t2"], "mask": heads[0]["t1"]}]
    check_domains(records, {"image": "t1", "label": "t2", "mask": "mask", "body_label": "mask", "body_image": None})


def test_ct_among_mr_is_refused_by_file(heads: Records) -> None:
    records = drawn(heads, image=["t1"] * 5 + ["ct"] + ["t1"] * 4, label=["t2"] * 2 * CASES)
    with pytest.raises(InputError, match=r"5_ct\.nii: found CT in Hounsfield units in the domain t1 \(1 of 10 files\)"):
        check_domains(records, {"image": "t1", "label": "t2"})


def test_a_ct_domain_without_hounsfield_units_is_refused_by_file(heads: Records) -> None:
    records = drawn(heads, image=["t1"] * 2 * CASES, label=["t2"] * 2 * CASES)
    with pytest.raises(InputError, match=r"0_t2\.nii: found no Hounsfield units in 10 of 10 files of the domain ct"):
        check_domains(records, {"image": "t1", "label": "ct"})


def test_only_so_many_files_are_read(heads: Records) -> None:
    records = drawn(heads, image=["t1"] * 5 + ["ct"] + ["t1"] * 4, label=["t2"] * 2 * CASES)
    check_domains(records, {"image": "t1", "label": "t2"}, read_at_most=2)  # the first and the last


def test_a_text_in_place_of_a_switch_is_refused() -> None:
    with pytest.raises(InputError, match="check_domains, anyway: found 'true'"):
        check_domains([], {}, anyway="true")  # type: ignore[arg-type]


def test_separability_is_one_for_distant_domains_and_near_chance_for_one() -> None:
    draw = np.random.default_rng(0).normal
    names = [str(number) for number in range(40)]
    assert separability(nearness(draw(0, 1, (20, 3)), names[:20], draw(9, 1, (20, 3)), names[20:])) == 1
    assert separability(nearness(draw(0, 1, (20, 3)), names[:20], draw(0, 1, (20, 3)), names[20:])) < 0.7


def test_a_case_does_not_help_to_assign_its_own_volumes() -> None:
    """Pairs of one patient alike in nothing but their number, which a mean over all others cannot know."""
    ours = np.random.default_rng(0).normal(size=(8, 30))
    names = [str(number) for number in range(8)]
    assert separability(nearness(ours, names, ours + 1e-3, names)) < 0.75


def test_real_ct_and_mr_pass(shared: Path) -> None:
    folders = sorted((shared / "data" / "ct_mr_pairs").glob("STS_*"))[:5]
    records = [
        {"case": folder.name, "image": str(folder / "mr.mha"), "label": str(folder / "ct.mha")} for folder in folders
    ]
    check(records, {"image": "mr", "label": "ct"})
