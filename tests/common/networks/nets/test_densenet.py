"""DenseNet-121 with a first stride of its own, against MONAI's and against sizes worked out by hand."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets import DenseNet

from transmodal.errors import InputError
from transmodal.networks.nets import VolumeDenseNet121

SMALL = {"init_features": 4, "growth_rate": 4, "block_config": [1, 2]}


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_with_an_even_first_stride_it_is_monais(spatial_dims: int) -> None:
    ours = VolumeDenseNet121(spatial_dims, 2, 1, **SMALL).eval()
    monais = DenseNet(spatial_dims, 2, 1, **SMALL).eval()
    monais.load_state_dict(ours.state_dict())
    image = torch.rand(2, 2, *[17] * spatial_dims)
    torch.testing.assert_close(ours(image), monais(image), rtol=0, atol=0)


def test_the_first_stride_may_leave_an_axis_as_it_is() -> None:
    network = VolumeDenseNet121(first_stride=[1, 2, 2], **SMALL)
    features = network.get_submodule("features.conv0")(torch.zeros(1, 1, 10, 16, 16))
    assert features.shape[2:] == (10, 8, 8)


def test_it_takes_images_of_any_size_above_its_strides() -> None:
    network = VolumeDenseNet121(**SMALL).eval()
    assert network(torch.zeros(1, 1, 9, 20, 33)).shape == (1, 1)


@pytest.mark.parametrize("stride", [0, [1, 2], [1, 2, True], "2", 1.5, []])
def test_a_first_stride_that_is_none_is_refused(stride: object) -> None:
    with pytest.raises(InputError, match=r"first_stride: found .*; wanted one whole number of 1 or more, or 3 of them"):
        VolumeDenseNet121(first_stride=stride, **SMALL)  # type: ignore[arg-type]
