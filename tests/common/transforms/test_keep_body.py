"""What lies outside the body mask is set to one value, and nothing else changes."""

from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, DivisiblePadd, Invertd

from transmodal import InputError
from transmodal.transforms import KeepBodyd


def sample(channels: int = 1) -> dict[str, torch.Tensor]:
    body = torch.zeros(1, 4, 5, 3, dtype=torch.uint8)
    body[:, 1:3, 2:4] = 1
    return {"image": MetaTensor(torch.rand(channels, 4, 5, 3)), "body_image": MetaTensor(body)}


@pytest.mark.parametrize("channels", [1, 3])
def test_the_outside_gets_the_value_and_the_body_stays(channels: int) -> None:
    before = sample(channels)
    kept = KeepBodyd("image", value=-1)(before)["image"].as_tensor()
    body = (before["body_image"] > 0).as_tensor().expand_as(kept)
    assert torch.equal(kept[body], before["image"].as_tensor()[body])
    assert (kept[~body] == -1).all()


def test_the_input_is_left_as_it_was() -> None:
    before = sample()
    untouched = before["image"].clone()
    KeepBodyd("image")(before)
    assert torch.equal(before["image"], untouched)


def test_a_mask_under_another_name_is_used() -> None:
    named = sample()
    named["mask"] = named.pop("body_image")
    assert (KeepBodyd("image", masks="mask")(named)["image"][:, 0] == -1).all()


def test_what_was_done_to_the_image_can_still_be_undone() -> None:
    """The prediction goes back to the native grid by the image's own history, which must survive."""
    pad = DivisiblePadd(["image", "body_image"], k=8)
    chain = Compose([pad, KeepBodyd("image")])
    done = chain(sample())
    assert done["image"].shape == (1, 8, 8, 8)
    undone = Invertd("pred", chain, orig_keys="image")({**done, "pred": done["image"].clone()})
    assert undone["pred"].shape == (1, 4, 5, 3)


def test_an_absent_image_is_passed_over() -> None:
    assert KeepBodyd(["image", "label"])(sample()).keys() == {"image", "body_image"}


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        (None, "found no mask 'body_image'"),
        ("/data/mask.mha", "found '/data/mask.mha' in place of the mask 'body_image'"),
        (torch.ones(1, 4, 5, 2), r"found a mask 'body_image' of shape \(1, 4, 5, 2\)"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(mask: object, told: str) -> None:
    with pytest.raises(InputError, match=rf"the image of case STS: {told}.*of shape \(1, 4, 5, 3\)"):
        KeepBodyd("image")({**sample(), "body_image": mask, "case": "STS"})
