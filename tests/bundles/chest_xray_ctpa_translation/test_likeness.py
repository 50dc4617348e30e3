"""CTs are alike by what is individual in them, wherever they lie."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close
from xray2ctpa_bundle.likeness import Likeness, Neighbours, moved_signatures, signature
from xray2ctpa_bundle.memorisation import RememberedCTs

from tests.bundles.chest_xray_ctpa_translation.chests import anatomy, chest

WINDOW, SIZE = (-1000.0, 600.0), (4, 8, 8)


def remembered() -> RememberedCTs:
    return RememberedCTs([chest(f"training_{number}", number) for number in range(8)], WINDOW, SIZE)


def test_a_signature_holds_means_of_blocks_within_the_window_and_the_rim() -> None:
    volume = torch.full((1, 8, 16, 16), 100.0)
    volume[:, 2:4, 4:8, 4:8] = 900.0
    volume[:, 0] = volume[:, :, 0] = volume[:, :, :, 0] = -500.0
    found = signature(volume, WINDOW, (4, 4, 4))
    assert found.tolist() == [600, 100, 100, 100, 100, 100, 100, 100]


def test_moved_signatures_are_those_of_the_moved_ct() -> None:
    ct = anatomy(1)
    found = moved_signatures(ct, WINDOW, SIZE)
    assert found.shape == (250, 2 * 6 * 6)
    assert torch.equal(found[62], signature(ct, WINDOW, SIZE))
    moved = ct.roll((1, -1, 2), dims=(1, 2, 3))  # by halves of a coarse voxel
    assert (found == signature(moved, WINDOW, SIZE)).all(dim=1).nonzero().tolist() == [[62 - 25 + 5 - 2]]


def test_the_second_half_of_moved_signatures_is_of_the_mirrored_ct() -> None:
    ct = anatomy(1)
    lying, mirrored = (moved_signatures(volume, WINDOW, SIZE) for volume in (ct, ct.flip(-1)))
    assert_close(lying[125:], mirrored[:125], rtol=0, atol=0.1)  # HU


def test_a_mirrored_copy_is_recognised() -> None:
    """Moved by 6 mm, too."""
    mirrored = moved_signatures(anatomy(5).flip(-1).roll(1, dims=3), WINDOW, SIZE)
    found = Likeness(remembered().signatures()).neighbours(mirrored, own="a")
    assert found.nearest == "training_5"
    assert found.ratio < 0.1


def test_the_ratio_of_a_copy_is_nothing_and_of_equals_one() -> None:
    assert Neighbours("a", 0.1, 0.4).ratio == pytest.approx(0.25)
    assert Neighbours("a", 0.0, 0.0).ratio == 1


def test_a_copy_is_at_distance_nothing_whatever_its_contrast() -> None:
    signatures = remembered().signatures()
    found = Likeness(signatures).neighbours(0.3 * signatures["training_5"] - 200, own="a")
    assert found.nearest == "training_5"
    assert found.distance == pytest.approx(0, abs=1e-5)
    assert found.second > 0.5


def test_the_mean_of_all_is_like_nobody() -> None:
    likeness = Likeness(remembered().signatures())
    found = likeness.neighbours(likeness.mean, own="a")
    assert (found.distance, found.ratio) == (pytest.approx(1, abs=1e-3), pytest.approx(1, abs=1e-3))


@pytest.mark.parametrize("noise", [1.0, 20.0])
def test_the_mean_of_all_with_little_on_it_is_like_nobody_in_proportion(noise: float) -> None:
    likeness = Likeness(remembered().signatures())
    little = noise * torch.nn.functional.normalize(likeness.directions[2], dim=0) * likeness.faint / 100
    found = likeness.neighbours(likeness.mean + little, own="a")
    assert found.distance == pytest.approx(1 - noise / 100, abs=1e-3)


def test_a_moved_mean_is_like_nobody() -> None:
    mean = torch.stack([anatomy(number) for number in range(8)]).mean(dim=0)
    moved = moved_signatures(mean.roll((1, 2, -1), dims=(1, 2, 3)), WINDOW, SIZE)
    assert Likeness(remembered().signatures()).neighbours(moved, own="a").distance > 0.99


def test_a_case_is_not_its_own_neighbour() -> None:
    signatures = remembered().signatures()
    assert Likeness(signatures).neighbours(signatures["training_2"], own="training_2").nearest != "training_2"


def test_distances_are_those_of_correlated_residuals() -> None:
    first, second = torch.tensor([3.0, -3, 0, 0]), torch.tensor([0, 0, 3.0, -3])
    likeness = Likeness({"first": first, "second": second, "third": -first - second})  # their mean is 0
    found = likeness.neighbours(2 * first + 2 * second, own="a")
    assert found.distance == pytest.approx(1 - 0.5**0.5)
    assert likeness.distance(2 * first, 7 - 5 * first) == pytest.approx(2)
