"""Grey levels as published: 8-bit pictures by 255, all others by their brightest pixel, and none becomes all white."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close
from xray2ctpa_bundle.published_greys import PublishedGreys

from transmodal.transforms import ScaleModalityd


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 51.0, 255.0], [-1.0, -0.6, 1.0]),
        ([20.0, 102.0, 204.0], [-1 + 40 / 255, -0.2, 0.6]),
        ([0.0, 1000.0, 4000.0], [-1.0, -0.5, 1.0]),
        ([100.0, 32768.0, 65536.0], [-1 + 200 / 65536, 0.0, 1.0]),
        ([0.0, 200.0, 400.0], [-1.0, 0.0, 1.0]),
        ([0.0, 0.25, 1.0], [-1.0, -0.5, 1.0]),
        ([-100.0, 0.0, 100.0], [-1.0, 0.0, 1.0]),
        ([-1e-5, 51.0, 204.0], [-1.0, -0.6, 0.6]),
    ],
    ids=["8-bit", "dull 8-bit", "12-bit", "16-bit", "drr", "share", "negative", "rounding"],
)
def test_pictures_are_scaled_by_what_they_are(values: list[float], expected: list[float]) -> None:
    picture = torch.tensor([[values]])
    assert_close(PublishedGreys().scale(picture), torch.tensor([[expected]]), rtol=0, atol=1e-6)
    scaled = ScaleModalityd("image", "xray", {"xray": PublishedGreys()})({"image": picture})["image"]
    assert_close(scaled, torch.tensor([[expected]]), rtol=0, atol=1e-6)


def test_an_empty_picture_is_black() -> None:
    assert (PublishedGreys().scale(torch.zeros(1, 2, 2)) == -1).all()
