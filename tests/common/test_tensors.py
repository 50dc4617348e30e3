"""Plain tensors of images that know where they lie."""

from __future__ import annotations

import torch
from monai.data import MetaTensor
from torch import Tensor

from transmodal.tensors import plain_on_cpu, without_metadata


def test_metadata_stays_behind_and_values_are_shared() -> None:
    image = MetaTensor(torch.arange(3.0), meta={"case": "a"})
    plain = without_metadata(image)
    assert type(plain) is Tensor
    assert plain.data_ptr() == image.data_ptr()


def test_a_plain_tensor_is_returned_itself() -> None:
    image = torch.arange(3.0)
    assert without_metadata(image) is image


def test_on_the_cpu_there_is_no_gradient() -> None:
    image = MetaTensor(torch.arange(3.0), meta={}).requires_grad_()
    plain = plain_on_cpu(image)
    assert type(plain) is Tensor
    assert not plain.requires_grad
    assert plain.device.type == "cpu"
    assert without_metadata(image).requires_grad
