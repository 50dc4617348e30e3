"""Where generated volumes lie: in the middle of the grid, or where the true CT does; and what a written file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.data import MetaTensor, decollate_batch
from monai.transforms import SaveImaged
from torch.testing import assert_close
from xray2ctpa_bundle.placing import PlaceOnGridd

from transmodal.data import AtomicNibabelWriter, CaseLayout, case_of
from transmodal.errors import InputError

FIELD = (320.0, 384.0, 384.0)


def made(*size: int, channels: int = 1) -> MetaTensor:
    """A volume that bears the metadata of its radiograph, whose affine is of no use to it."""
    meta = {"case": "chest_7", "filename_or_obj": "chest_7/xray.png", "spatial_shape": np.array([224, 224])}
    return MetaTensor(torch.rand(channels, *size), affine=7 * torch.eye(4), meta=meta)


def test_the_middle_of_the_field_of_view_is_the_origin() -> None:
    affine = PlaceOnGridd("pred", FIELD)({"pred": made(64, 256, 256)})["pred"].affine
    assert_close(affine @ torch.tensor([31.5, 127.5, 127.5, 1.0]).double(), torch.tensor([0.0, 0, 0, 1]).double())


def test_axes_run_from_feet_to_head_front_to_back_and_right_to_left() -> None:
    """In RAS: up is +z, back is -y, the patient's left is -x; 320 mm in 64 slices, 384 mm in 256 rows and columns."""
    affine = PlaceOnGridd("pred", FIELD)({"pred": made(64, 256, 256)})["pred"].affine
    expected = torch.tensor([[0, 0, -1.5], [0, -1.5, 0], [5, 0, 0]]).double()
    assert_close(affine[:3, :3], expected)


def test_corners_lie_half_a_voxel_inside_the_field_of_view() -> None:
    affine = PlaceOnGridd("pred", (8.0, 6.0, 4.0))({"pred": made(4, 3, 2)})["pred"].affine
    first, last = (affine @ torch.tensor([*index, 1.0]).double() for index in ((0, 0, 0), (3, 2, 1)))
    assert_close(first[:3], torch.tensor([1.0, 2.0, -3.0]).double())
    assert_close(last[:3], torch.tensor([-1.0, -2.0, 3.0]).double())


def test_other_directions_may_be_asked_for() -> None:
    affine = PlaceOnGridd("pred", (4.0, 6.0, 8.0), axcodes="RAS")({"pred": made(2, 2, 2)})["pred"].affine
    assert_close(affine[:3, :3], torch.diag(torch.tensor([2.0, 3.0, 4.0])).double())


def test_a_true_ct_on_the_grid_tells_the_place() -> None:
    place = torch.tensor([[0, 0, -2.0, 9], [0, -2, 0, 8], [3, 0, 0, 7], [0, 0, 0, 1]]).double()
    label = MetaTensor(torch.zeros(1, 4, 5, 6), affine=place)
    found = PlaceOnGridd("pred", FIELD, like="label")({"pred": made(4, 5, 6), "label": label})
    assert torch.equal(found["pred"].affine, place)
    found["pred"].affine[0, 0] = 5
    assert torch.equal(label.affine, place)


def test_the_case_stays_and_what_concerns_the_pixels_of_the_radiograph_goes() -> None:
    meta = PlaceOnGridd("pred", FIELD)({"pred": made(2, 3, 4)})["pred"].meta
    assert (meta["case"], meta["filename_or_obj"]) == ("chest_7", "chest_7/xray.png")
    assert "spatial_shape" not in meta


def test_values_channels_and_other_entries_stay() -> None:
    volume, image = made(2, 3, 4, channels=2), made(5, 5)
    given = {"pred": volume, "image": image}
    found = PlaceOnGridd("pred", FIELD)(given)
    assert torch.equal(found["pred"].as_tensor(), volume.as_tensor())
    assert found["image"] is image
    assert given["pred"] is volume


def test_a_plain_tensor_is_placed_too() -> None:
    assert PlaceOnGridd("pred", FIELD)({"pred": torch.zeros(1, 2, 3, 4)})["pred"].affine[2, 0] == 160


def test_a_written_file_lies_where_it_should(tmp_path: Path) -> None:
    """As the postprocessing of an evaluator does, with a batch taken apart."""
    batch = MetaTensor(torch.rand(2, 1, 4, 6, 5), meta={"case": ["a", "b"]})
    batch.is_batch = True
    save = SaveImaged(
        "pred",
        folder_layout=CaseLayout(str(tmp_path), "ct"),
        writer=AtomicNibabelWriter,
        output_name_formatter=case_of,
        resample=False,
        print_log=False,
    )
    for sample in decollate_batch({"pred": batch}):
        save(PlaceOnGridd("pred", (8.0, 6.0, 10.0))(sample))
    for number, case in enumerate("ab"):
        image = nibabel.load(tmp_path / case / "ct.nii.gz")
        assert nibabel.aff2axcodes(image.affine) == ("S", "P", "L")
        assert image.header.get_zooms() == (2, 1, 2)
        middle = image.affine @ [1.5, 2.5, 2, 1]
        np.testing.assert_allclose(middle[:3], 0, atol=1e-6)
        np.testing.assert_allclose(image.get_fdata(), batch[number, 0].numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("label", "found"),
    [
        (None, "no image"),
        (MetaTensor(torch.zeros(1, 4, 5, 7)), "an image of 4×5×7 voxels"),
        (torch.zeros(1, 4, 5, 6), "an image of 4×5×6 voxels"),
    ],
    ids=["missing", "another size", "no place"],
)
def test_an_image_that_cannot_tell_the_place_is_refused(label: Any, found: str) -> None:
    given = {"pred": made(4, 5, 6)} | ({} if label is None else {"label": label})
    with pytest.raises(InputError, match=f"like 'label': found {found}; wanted one on the grid of the volume, 4×5×6"):
        PlaceOnGridd("pred", FIELD, like="label")(given)


@pytest.mark.parametrize(
    ("field", "axcodes"), [((320.0, 384.0), "SPL"), ((320.0, 0.0, 384.0), "SPL"), (FIELD, "SPP"), (FIELD, "SP")]
)
def test_a_field_of_view_that_cannot_be_meant_is_refused(field: tuple[float, ...], axcodes: str) -> None:
    with pytest.raises(InputError, match="field of view"):
        PlaceOnGridd("pred", field, axcodes)
