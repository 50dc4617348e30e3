"""Radiographs of one size on one scale, and where their pixels end up."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from torch import Tensor
from torch.testing import assert_close

from transmodal.errors import InputError
from transmodal.transforms import RadiographFitd, RadiographScale, ScaleModalityd
from transmodal.transforms.radiograph_loading import coronal_affine


def fit(image: Tensor, size: int) -> MetaTensor:
    fitted: MetaTensor = RadiographFitd("image", size)({"image": image})["image"]
    return fitted


def test_a_square_of_the_size_stays_as_it_is() -> None:
    image = torch.rand(1, 16, 16)
    assert_close(fit(image, 16).as_tensor(), image)


def test_a_portrait_is_padded_on_both_sides_with_its_darkest_value() -> None:
    image = torch.rand(1, 16, 10) + 1
    fitted = fit(image, 16)
    assert_close(fitted[..., 3:13].as_tensor(), image)
    assert bool((fitted[..., :3] == image.min()).all() and (fitted[..., 13:] == image.min()).all())


def test_a_landscape_is_padded_above_and_below() -> None:
    image = torch.rand(1, 11, 16)
    assert_close(fit(image, 16)[:, 2:13].as_tensor(), image)


def test_a_coarser_size_averages_over_all_pixels() -> None:
    """A single bright pixel neither vanishes nor keeps its brightness; away from the border its sum is 1 / 4²."""
    image = torch.zeros(1, 64, 64)
    image[0, 33, 30] = 1
    assert_close(fit(image, 16).sum().as_tensor(), torch.tensor(1 / 16))
    stripes = (torch.arange(64.0) % 2).expand(1, 64, 64)
    assert_close(fit(stripes, 16)[..., 2:-2].as_tensor(), torch.full((1, 16, 12), 0.5), rtol=0, atol=0.02)


@pytest.mark.parametrize("shape", [(24, 16), (16, 24), (8, 8), (33, 32)])
def test_the_affine_follows_the_pixels(shape: tuple[int, int]) -> None:
    """The grey of each pixel is where it was in mm, and so it is afterwards, to a fraction of the new pixels."""
    affine = torch.from_numpy(coronal_affine(shape, (3.0, 2.0)))
    rows, columns = torch.meshgrid(torch.arange(shape[0] + 0.0), torch.arange(shape[1] + 0.0), indexing="ij")
    place = affine[2, 0] * rows + affine[0, 1] * columns + affine[2, 3] + affine[0, 3]
    fitted = fit(MetaTensor(place[None].float(), affine=affine), 12)
    inside = (slice(5, 7), slice(5, 7))  # away from padding and borders
    rows, columns = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="ij")
    moved = fitted.affine
    expected = moved[2, 0] * rows + moved[0, 1] * columns + moved[2, 3] + moved[0, 3]
    assert_close(fitted[0][inside].as_tensor().double(), expected[inside].double(), rtol=0, atol=0.15)


def disc(rows: int, columns: int, edges: tuple[float, float]) -> MetaTensor:
    """A round bright spot of 40 mm in the middle of a picture."""
    y, x = (
        edge * (torch.arange(length) - (length - 1) / 2) for length, edge in zip((rows, columns), edges, strict=True)
    )
    spot = (y[:, None].square() + x.square() < 400).float()
    return MetaTensor(spot[None], affine=torch.from_numpy(coronal_affine((rows, columns), edges)))


@pytest.mark.parametrize(("shape", "edges"), [((64, 32), (1.0, 2.0)), ((32, 64), (2.0, 1.0)), ((40, 32), (1.0, 2.0))])
def test_pixels_that_are_not_square_become_so(shape: tuple[int, int], edges: tuple[float, float]) -> None:
    """A disc stays one, in a square of 64 mm."""
    fitted = fit(disc(*shape, edges), 64)
    assert_close(fitted.affine[:3, :2].norm(dim=0), torch.ones(2).double(), rtol=0, atol=1e-6)
    extents = [int((fitted[0].as_tensor().amax(axis) > 0.5).sum()) for axis in (0, 1)]
    assert max(abs(extent - 40) for extent in extents) <= 2


def test_pixels_that_are_strips_are_refused() -> None:
    with pytest.raises(InputError, match=r"the image of case without a name: found pixels of 1×30 mm"):
        fit(disc(8, 8, (1.0, 30.0)), 8)


def picture_of(width: float, told: bool = True) -> MetaTensor:
    affine = torch.from_numpy(coronal_affine((16, 16), (width / 16, width / 16)))
    return MetaTensor(torch.rand(1, 16, 16), affine=affine, meta={"filename_or_obj": "x.nii.gz", "spacing_told": told})


@pytest.mark.parametrize(
    ("picture", "warned"),
    [
        (picture_of(384), 0),
        (picture_of(432), 0),
        (picture_of(200), 1),
        (picture_of(600), 1),
        (picture_of(200, False), 0),
    ],
)
def test_a_width_that_cannot_be_that_of_the_geometry_is_told_once(
    picture: MetaTensor, warned: int, caplog: pytest.LogCaptureFixture
) -> None:
    transform = RadiographFitd("image", 16, width=384.0)
    with caplog.at_level(logging.WARNING, logger=RadiographFitd.__module__):
        for _ in range(2):
            transform({"image": picture})
    messages = [record.getMessage() for record in caplog.records if record.name == RadiographFitd.__module__]
    assert len(messages) == warned
    assert all("x.nii.gz: a picture of" in message and "show 384 mm" in message for message in messages)


@pytest.mark.parametrize("width", [0, "384", True])
def test_a_width_that_is_none_is_refused(width: Any) -> None:
    with pytest.raises(InputError, match="RadiographFitd, width"):
        RadiographFitd("image", 16, width=width)


def test_metadata_stay_with_the_picture() -> None:
    image = MetaTensor(torch.rand(1, 9, 9), meta={"case": "7"})
    assert fit(image, 8).meta["case"] == "7"


def test_a_picture_without_a_channel_is_taken() -> None:
    values = np.random.default_rng(0).random((12, 9)).astype(np.float32)
    assert fit(torch.from_numpy(values), 8).shape == (1, 8, 8)
    assert RadiographFitd("image", 8)({"image": values})["image"].shape == (1, 8, 8)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 8, 8), (8,)])
def test_what_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="the image of case 7"):
        RadiographFitd("image", 8)({"image": torch.zeros(shape), "case": "7"})


@pytest.mark.parametrize("size", [0, True, "224", 7.5])
def test_a_size_that_is_none_is_refused(size: object) -> None:
    with pytest.raises(InputError, match="RadiographFitd, size"):
        RadiographFitd("image", size)  # type: ignore[arg-type]


def test_percentiles_become_the_ends_of_the_scale() -> None:
    image = torch.arange(1001.0)[None, None]
    scaled = RadiographScale(lower=1, upper=99).scale(image)
    assert_close(scaled[0, 0, [0, 10, 500, 990, 1000]], torch.tensor([-1.0, -1.0, 0.0, 1.0, 1.0]))


def test_brightness_and_contrast_of_a_detector_do_not_matter() -> None:
    image = torch.rand(1, 40, 40)
    assert_close(RadiographScale().scale(image), RadiographScale().scale(300 * image + 7), rtol=0, atol=1e-4)


def test_equalised_greys_are_evenly_spread_and_keep_their_order() -> None:
    image = torch.rand(1, 50, 50).exp()
    scaled = RadiographScale(equalise=True).scale(image).flatten()
    assert_close(scaled.sort().values[25:-25], torch.linspace(-1, 1, 2500)[25:-25], rtol=0, atol=2e-3)
    order = image.flatten().argsort()
    assert bool((scaled[order].diff() >= 0).all())


def test_equalising_makes_the_curve_of_a_film_not_matter() -> None:
    image = torch.rand(1, 50, 50)
    scale = RadiographScale(equalise=True)
    assert_close(scale.scale(image), scale.scale(image.exp().square()), rtol=0, atol=2e-3)


def test_equal_greys_stay_equal_when_equalised() -> None:
    """Expected by hand: of four pixels the two darkest share the ranks 0 to 2, the others have 2 to 3 and 3 to 4."""
    scaled = RadiographScale(0, 100, equalise=True).scale(torch.tensor([[[0.0, 5.0, 0.0, 9.0]]]))
    assert_close(scaled, torch.tensor([[[-0.5, 0.25, -0.5, 0.75]]]))


@pytest.mark.parametrize("equalise", [False, True])
def test_the_dictionary_transform_scales_as_the_scale_does(equalise: bool) -> None:
    scale = RadiographScale(equalise=equalise)
    image = MetaTensor(torch.rand(1, 30, 30).square(), meta={"case": "7"})
    scaled = ScaleModalityd("image", "xray", {"xray": scale})({"image": image})["image"]
    assert_close(scaled.as_tensor(), scale.scale(image.as_tensor()))
    assert scaled.meta["case"] == "7"
    assert scaled.meta["intensity_bounds"] == pytest.approx(scale.bounds(image))


def test_a_flag_in_words_is_refused() -> None:
    with pytest.raises(InputError, match="RadiographScale, equalise"):
        RadiographScale(equalise="false")  # type: ignore[arg-type]
