"""The published grid of CTs: places, the box around the lungs, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from nibabel.orientations import aff2axcodes
from xray2ctpa_bundle.published_ct import PublishedGridd

from transmodal.errors import InputError

AFFINE = torch.tensor([[-2.0, 0, 0, 31], [0, -2, 0, 17], [0, 0, 3, 100], [0, 0, 0, 1]], dtype=torch.float64)
SHAPE = (20, 16, 12)


def scan() -> MetaTensor:
    """HU that fall from the head to the feet and rise to the left."""
    values = torch.from_numpy(np.indices(SHAPE).astype(np.float32))
    return MetaTensor((20 * values[2] + 3 * values[0])[None], affine=AFFINE, meta={"case": "7"})


def mask(low: tuple[int, int, int], high: tuple[int, int, int]) -> MetaTensor:
    lungs = torch.zeros(1, *SHAPE)
    lungs[(0, *(slice(a, b) for a, b in zip(low, high, strict=True)))] = 1
    return MetaTensor(lungs, affine=AFFINE, meta={"case": "7"})


def value_at(image: MetaTensor, index: tuple[int, int, int]) -> float:
    """What the scan has at the place of a voxel."""
    i, _, k, _ = np.linalg.solve(AFFINE.numpy(), image.affine.numpy() @ [*index, 1])
    return float(20 * k + 3 * i)


def test_the_affine_tells_where_the_stretched_voxels_are() -> None:
    found = PublishedGridd("ct", size=(9, 10, 11))({"ct": scan()})["ct"]
    assert tuple(found.shape) == (1, 9, 10, 11)
    assert aff2axcodes(found.affine.numpy()) == ("S", "P", "L")
    for index in [(0, 0, 0), (8, 9, 10), (4, 5, 6)]:
        assert float(found[(0, *index)]) == pytest.approx(value_at(found, index), abs=3)


def test_the_ct_is_cut_to_the_box_around_the_lungs() -> None:
    """Indices 2 to 9 of i without the last, as published, and so on; 12 and 180 at the corners of this box."""
    sample = {"ct": scan(), "lungs": mask((2, 3, 4), (10, 12, 11))}
    found = PublishedGridd("ct", size=(6, 8, 8))(sample)["ct"]
    lowest, highest = 20 * 4 + 3 * 2, 20 * 9 + 3 * 8
    assert [float(found.min()), float(found.max())] == [pytest.approx(lowest, abs=3), pytest.approx(highest, abs=3)]
    assert float(found[0, 5, 3, 7]) == pytest.approx(value_at(found, (5, 3, 7)), abs=3)


def test_the_result_has_whole_hu() -> None:
    found = PublishedGridd("ct", size=(9, 10, 11))({"ct": scan() + 0.4})["ct"]
    assert found.dtype == torch.float32
    assert bool((found == found.round()).all())


@pytest.mark.parametrize("lungs", [torch.zeros(1, *SHAPE), torch.ones(1, 4, 4, 4)])
def test_a_mask_that_does_not_fit_is_refused(lungs: torch.Tensor) -> None:
    sample = {"ct": scan(), "lungs": MetaTensor(lungs, affine=AFFINE, meta={"case": "7"})}
    with pytest.raises(InputError, match=r"the mask 'lungs' of case 7: found .* voxels of lungs"):
        PublishedGridd("ct")(sample)


@pytest.mark.parametrize("arguments", [{"size": (128, 256)}, {"spacing": (1, 0, 1)}])
def test_what_cannot_be_meant_is_refused(arguments: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(InputError, match=r"PublishedGridd, .*wanted three positive numbers"):
        PublishedGridd("ct", **arguments)
