"""Where results go, and that none is ever half written."""

from __future__ import annotations

from pathlib import Path

import nibabel
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import SaveImage

from transmodal.data.saving import AtomicNibabelWriter, CaseLayout, case_of


def saver(folder: Path) -> SaveImage:
    return SaveImage(
        folder_layout=CaseLayout(str(folder), "ct"),
        output_name_formatter=case_of,
        writer=AtomicNibabelWriter,
        output_dtype=None,
        resample=False,
        print_log=False,
    )


def image(case: str = "patient07") -> MetaTensor:
    affine = torch.diag(torch.tensor([1.0, 2.0, 3.0, 1.0], dtype=torch.float64))
    values = torch.arange(24).reshape(1, 2, 3, 4).to(torch.int16)
    return MetaTensor(values, affine=affine, meta={"case": case, "original_channel_dim": 0})


def test_outputs_have_the_layout_of_inputs(tmp_path: Path) -> None:
    saver(tmp_path)(image())
    written = nibabel.load(tmp_path / "patient07" / "ct.nii.gz")
    assert written.get_data_dtype() == "int16"
    assert written.shape == (2, 3, 4)
    assert written.header.get_zooms() == (1, 2, 3)
    assert written.get_fdata().ravel().tolist() == list(range(24))


def test_a_volume_of_one_slice_stays_a_volume_in_its_place(tmp_path: Path) -> None:
    saver(tmp_path)(image()[..., :1])
    written = nibabel.load(tmp_path / "patient07" / "ct.nii.gz")
    assert written.shape == (2, 3, 1)
    assert written.header.get_zooms() == (1, 2, 3)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (0, 2, 1), (2, 0, 1)])
def test_any_orientation_is_written_as_it_is(tmp_path: Path, order: tuple[int, int, int]) -> None:
    """Sagittal and coronal volumes have first axes that do not span x and y."""
    volume = image()
    affine = torch.zeros(4, 4, dtype=torch.float64)
    for axis, world in enumerate(order):
        affine[world, axis] = 1.0 + axis
    affine[:, 3] = torch.tensor([10.0, -20.0, 30.0, 1.0])
    volume.affine = affine
    saver(tmp_path)(volume)
    written = nibabel.load(tmp_path / "patient07" / "ct.nii.gz")
    torch.testing.assert_close(torch.from_numpy(written.affine), affine)
    assert written.get_fdata().ravel().tolist() == list(range(24))
    assert written.header.get_xyzt_units()[0] == "mm"


def test_without_a_case_the_file_name_is_taken() -> None:
    assert case_of({"filename_or_obj": "/data/scan_3.nii.gz"})["case"] == "scan_3"


def deviation() -> MetaTensor:
    second = image()
    second.meta["suffix"] = "_std"
    return second


def test_an_image_and_its_deviation_stand_side_by_side(tmp_path: Path) -> None:
    saver(tmp_path)(image())
    saver(tmp_path)(deviation())
    assert sorted(path.name for path in (tmp_path / "patient07").iterdir()) == ["ct.nii.gz", "ct_std.nii.gz"]


def test_a_new_image_does_not_stand_beside_the_deviation_of_an_old_one(tmp_path: Path) -> None:
    saver(tmp_path)(image())
    saver(tmp_path)(deviation())
    saver(tmp_path)(image())
    assert [path.name for path in (tmp_path / "patient07").iterdir()] == ["ct.nii.gz"]


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saver(tmp_path)(image())
    before = (tmp_path / "patient07" / "ct.nii.gz").read_bytes()

    def interrupted(image: object, path: str) -> None:
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(nibabel, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        saver(tmp_path)(image())
    assert (tmp_path / "patient07" / "ct.nii.gz").read_bytes() == before
    assert [path.name for path in (tmp_path / "patient07").iterdir()] == ["ct.nii.gz"]
