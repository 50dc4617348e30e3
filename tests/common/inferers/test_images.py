"""Images on their way into a network and out again."""

from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor
from torch import nn

from transmodal.errors import InputError
from transmodal.inferers import plain_input, with_metadata_of

AFFINE = torch.diag(torch.tensor([-2.0, -2.0, 3.0, 1.0], dtype=torch.float64))


def test_a_network_gets_plain_values_in_single_precision() -> None:
    image = MetaTensor(torch.rand(2, 1, 3, 4).double(), affine=AFFINE)
    found = plain_input(image, nn.Linear(1, 1), "Stage", 2, "no remedy")
    assert type(found) is torch.Tensor
    assert found.dtype == torch.float32
    assert torch.equal(found, image.as_tensor().float())


def test_a_network_gets_its_input_where_it_lies() -> None:
    found = plain_input(torch.zeros(1, 1, 3, 4, 5), nn.Linear(1, 1, device="meta"), "Stage", 3, "no remedy")
    assert found.device.type == "meta"


@pytest.mark.parametrize(
    ("shape", "spatial_dims", "wanted"),
    [
        ((1, 1, 3, 4, 5), 2, r"pictures of one channel, \(B, 1, H, W\)"),
        ((1, 2, 3, 4), 2, r"pictures of one channel, \(B, 1, H, W\)"),
        ((1, 1, 3, 4), 3, r"volumes of one channel, \(B, 1, D, H, W\)"),
        ((1, 2, 3, 4, 5), 3, r"volumes of one channel, \(B, 1, D, H, W\)"),
    ],
)
def test_other_dimensions_and_channels_are_refused(shape: tuple[int, ...], spatial_dims: int, wanted: str) -> None:
    found = rf"an image of shape \({', '.join(map(str, shape))}\)"
    with pytest.raises(InputError, match=rf"Stage: found {found}; wanted {wanted}\.\s+What to do: cut it out"):
        plain_input(torch.zeros(shape), nn.Linear(1, 1), "Stage", spatial_dims, "cut it out")


def test_a_translation_gets_the_metadata_of_its_source_and_single_precision() -> None:
    source = MetaTensor(torch.zeros(1, 3, 4, 5, dtype=torch.float64), affine=AFFINE, meta={"case": "a"})
    values = torch.rand(2, 3, 4, 5).bfloat16()
    found = with_metadata_of(source, values)
    assert isinstance(found, MetaTensor)
    assert found.meta["case"] == "a"
    torch.testing.assert_close(found.affine, AFFINE)
    assert torch.equal(found.as_tensor(), values.float())


def test_a_translation_of_a_plain_tensor_stays_plain() -> None:
    found = with_metadata_of(torch.zeros(1, 3, 4), torch.ones(1, 3, 4).double())
    assert type(found) is torch.Tensor
    assert found.dtype == torch.float32
