"""Body and background from the classes of any network, and grey images for a network of photographs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from segmentation_bundle.networks import BodySegmenter, ImageNetGrey
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.errors import InputError
from transmodal.networks.nets import DeepLabV3Plus

TINY: dict[str, Any] = {"layers": (1, 1, 1, 1), "widths": (2, 2, 2, 2), "aspp_channels": 4}


class Classes(nn.Module):
    """Logits drawn for each class, the same at every call."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.logits = torch.randn(2, num_classes, 3, 4)

    def forward(self, image: Tensor) -> Tensor:
        return self.logits


class Photographs(nn.Module):
    """What reaches a network of photographs."""

    num_classes = 3

    def forward(self, image: Tensor) -> Tensor:
        return image


def test_two_classes_pass_unchanged() -> None:
    classes = Classes(2)
    assert_close(BodySegmenter(classes)(torch.zeros(2, 1, 3, 4)), classes.logits, rtol=0, atol=0)


def test_the_body_may_be_the_first_of_two_classes() -> None:
    classes = Classes(2)
    assert_close(BodySegmenter(classes, body=[0])(torch.zeros(2, 1, 3, 4)), classes.logits.flip(1), rtol=0, atol=0)


@pytest.mark.parametrize("body", [[15], [3, 1]])
def test_the_probability_of_the_body_is_the_sum_over_its_classes(body: list[int]) -> None:
    classes = Classes(21)
    probability = BodySegmenter(classes, body)(torch.zeros(2, 1, 3, 4)).softmax(dim=1)
    expected = classes.logits.softmax(dim=1)[:, body].sum(dim=1)
    assert_close(probability, torch.stack([1 - expected, expected], dim=1))


def test_more_than_two_classes_need_to_be_told_which_are_the_body() -> None:
    with pytest.raises(InputError, match=r"for a network of 21 classes(.|\n)*body_classes \"\[15\]\".*15 is a person"):
        BodySegmenter(Classes(21))


@pytest.mark.parametrize("body", [[], [0, 1, 2], [3], [-1], [1, 1], "1", 1, [True], [1.0]])
def test_classes_that_do_not_exist_or_leave_no_background_are_refused(body: Any) -> None:
    with pytest.raises(InputError, match=r"body_classes: found .*wanted a list of different numbers from 0 to 2"):
        BodySegmenter(Classes(3), body)


def test_a_grey_image_is_normalised_as_the_photographs_of_imagenet() -> None:
    """By torchvision's documentation: (value in [0, 1] - mean) / std per colour; -1 is black and 1 is white."""
    black, white = ImageNetGrey(Photographs())(torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1)).flatten(1)
    assert_close(black, torch.tensor([-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225]))
    assert_close(white, torch.tensor([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225]))


def test_a_volume_is_normalised_alike() -> None:
    network = ImageNetGrey(Photographs())
    volume = torch.rand(1, 1, 4, 3, 2)
    assert_close(network(volume)[..., 1], network(volume[..., 1]))


def test_the_state_dict_holds_the_weights_alone() -> None:
    segmenter = DeepLabV3Plus(in_channels=3, **TINY)
    assert set(BodySegmenter(ImageNetGrey(segmenter)).state_dict()) == {
        f"segmenter.network.{key}" for key in segmenter.state_dict()
    }


def test_scripting_changes_nothing() -> None:
    network, image = BodySegmenter(ImageNetGrey(DeepLabV3Plus(5, 3, **TINY)), [1, 4]).eval(), torch.rand(1, 1, 33, 40)
    assert_close(torch.jit.script(network)(image), network(image), rtol=0, atol=0)
