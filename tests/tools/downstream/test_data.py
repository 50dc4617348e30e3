"""Which cases train and are scored, how their images are scaled, and the segmenter's grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Invertd

from downstream.data import (
    Record,
    Subject,
    body_slices,
    check_synthetic,
    read_subject,
    split_records,
    stacked,
    working_grid,
)
from tests.tools.downstream.brains import CONTRASTS, TESTED, TRAINING, change, write_list
from transmodal.errors import InputError


def split(brains: Path, section: str = "test") -> tuple[list[Record], list[Record]]:
    return split_records(str(brains / "data"), str(brains / "split.json"), section, CONTRASTS)


def test_the_training_section_trains_and_the_section_asked_for_is_scored(brains: Path) -> None:
    training, tested = split(brains)
    assert [record["case"] for record in training] == list(TRAINING)
    assert [record["case"] for record in tested] == [TESTED]


def test_a_label_stands_in_for_a_lesion_mask(brains: Path) -> None:
    folder = brains / "data" / TESTED
    (folder / "lesion.nii.gz").rename(folder / "label.nii.gz")
    write_list(brains)
    assert split(brains)[1][0]["lesion"] == str(folder / "label.nii.gz")


def test_a_case_without_a_lesion_mask_is_left_out(brains: Path) -> None:
    (brains / "data" / TRAINING[0] / "lesion.nii.gz").unlink()
    write_list(brains)
    assert [record["case"] for record in split(brains)[0]] == [TRAINING[1]]


def test_a_section_without_lesion_masks_is_refused(brains: Path) -> None:
    (brains / "data" / TESTED / "lesion.nii.gz").unlink()
    write_list(brains)
    with pytest.raises(InputError, match="1 cases in the section 'test', none with a lesion mask"):
        split(brains)


def test_a_missing_contrast_is_named_with_its_case(brains: Path) -> None:
    (brains / "data" / TRAINING[1] / "t2.nii.gz").unlink()
    write_list(brains)
    with pytest.raises(InputError, match=rf"{TRAINING[1]}.*lacks t2"):
        split(brains)


def test_a_data_set_without_sections_is_refused(brains: Path) -> None:
    with pytest.raises(InputError, match=r"no list of sections; wanted dataset.json in the data set, or --datalist"):
        split_records(str(brains / "data"), None, "test", CONTRASTS)


def test_the_training_section_is_not_scored(brains: Path) -> None:
    with pytest.raises(InputError, match="found 'training'; wanted validation or test, since the segmenter learns"):
        split(brains, "training")


def test_all_cases_without_a_synthetic_target_are_named_with_the_command(brains: Path) -> None:
    training, tested = split(brains)
    folder = brains / "results"
    change(Path(tested[0]["flair"]), folder / TESTED / "flair.nii.gz", lambda values: values)
    check_synthetic(tested, {"a": folder}, "flair", "test")
    with pytest.raises(InputError, match=f"no synthetic flair of {', '.join(TRAINING)};") as error:
        check_synthetic([*training, *tested], {"a": folder}, "flair", "test")
    assert "configs/inference.json --target flair --section test" in str(error.value)


def test_the_scale_a_synthetic_image_was_written_on_does_not_matter(records: tuple[list, list]) -> None:
    record = records[1][0]
    folder = Path(record["flair"]).parents[2]
    written = change(Path(record["flair"]), folder / "results" / "flair.nii.gz", lambda values: 3 * values + 40)
    subject = read_subject(record, CONTRASTS, {"model": written}, "flair")
    torch.testing.assert_close(
        subject.synthetic["model"].as_tensor(), subject.contrasts["flair"].as_tensor(), rtol=0, atol=1e-4
    )


def test_a_synthetic_image_without_contrast_in_the_body_is_refused(
    records: tuple[list, list], subject: Subject
) -> None:
    record, inside = records[1][0], subject.body[0].numpy()
    folder = Path(record["flair"]).parents[2]
    flat = change(Path(record["flair"]), folder / "flat.nii.gz", lambda values: np.where(inside, 500, values))
    with pytest.raises(InputError, match=r"flat.nii.gz: found one value \(500\) everywhere inside the body"):
        read_subject(record, CONTRASTS, {"model": flat}, "flair")


def test_a_synthetic_image_on_another_grid_is_refused(records: tuple[list, list]) -> None:
    record = records[1][0]
    folder = Path(record["flair"]).parents[2]
    small = change(Path(record["flair"]), folder / "small.nii.gz", lambda values: values[:-1])
    with pytest.raises(InputError, match=r"small.nii.gz: shape 32×32×8 against 31×32×8"):
        read_subject(record, CONTRASTS, {"model": small}, "flair")


def test_the_target_has_no_say_in_where_the_body_is(records: tuple[list, list]) -> None:
    record = {name: path for name, path in records[1][0].items() if name != "mask"}
    bodies = []
    for name, values in (("same", lambda values: values), ("other", lambda values: values[::-1] ** 2 + 7)):
        folder = Path(record["flair"]).parents[2] / name
        flair = change(Path(record["flair"]), folder / "flair.nii.gz", values)
        bodies.append(read_subject({**record, "flair": str(flair)}, CONTRASTS, {}, "flair").body)
    assert 0.1 < bodies[0].float().mean() < 0.9
    assert torch.equal(*bodies)


def test_the_way_to_the_working_grid_leads_back_to_the_native_one() -> None:
    affine = torch.tensor([[0.0, -1.5, 0, 9], [2.0, 0, 0, 5], [0, 0, 3, 1], [0, 0, 0, 1]], dtype=torch.float64)
    ramp = torch.linspace(-1, 1, 30)[:, None, None].expand(30, 41, 5)
    image = stacked(MetaTensor(ramp[None], affine=affine), [torch.ones(1, 30, 41, 5)])
    grid = working_grid((3.0, 2.0, -1.0))
    sample = grid({"image": image})
    assert sample["image"].shape == (2, 32, 32, 5)  # 41 × 1.5 / 3 = 21 wide, 30 × 2 / 2 = 30 long, then padded to 32
    back = Invertd("pred", transform=grid, orig_keys="image", nearest_interp=False)
    native = back({**sample, "pred": sample["image"]})["pred"]
    torch.testing.assert_close(native.as_tensor(), image.as_tensor(), rtol=0, atol=1e-4)


def test_slices_show_body_and_carry_all_contrasts_and_the_lesion(subject: Subject) -> None:
    slices = body_slices(subject, CONTRASTS, working_grid((-1.0, -1.0, -1.0)))
    filled = subject.body[0].float().mean(dim=(0, 1)) >= 0.05
    assert len(slices) == int(filled.sum())
    assert {tuple(each["image"].shape) for each in slices} == {(3, 32, 32)}
    lesions = sum(int(each["lesion"].sum()) for each in slices)
    assert lesions == int(subject.lesion[..., filled].sum()) > 0
