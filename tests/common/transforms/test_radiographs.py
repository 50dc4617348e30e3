"""Radiographs of CTs: for whom, which way they hang, and around what."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Orientation

from transmodal.errors import InputError
from transmodal.phantom import Chest, make_case
from transmodal.projection import ConeBeam, TrilinearProjector, published_density
from transmodal.transforms import FieldOfViewd, Radiographd, isocentric_affine, radiograph_of

PROJECTOR = TrilinearProjector(ConeBeam.covering(384, pixels=(40, 48)), step=4.0)


@pytest.fixture(scope="module")
def chest() -> MetaTensor:
    image = make_case(Chest(), seed=2, shape=(40, 40, 30))["ct"].float()
    image.meta["case"] = "2"
    return image


def test_a_case_without_radiograph_gets_that_of_its_ct(chest: MetaTensor) -> None:
    sample = Radiographd(projector=PROJECTOR)({"ct": chest})
    torch.testing.assert_close(sample["image"].as_tensor(), radiograph_of(chest, PROJECTOR).as_tensor())
    assert tuple(sample["image"].shape) == (1, 40, 48)


@pytest.mark.parametrize("given", ["/somewhere/xray.png", torch.ones(1, 4, 4)])
def test_a_radiograph_or_its_file_is_kept(chest: MetaTensor, given: object) -> None:
    assert Radiographd(projector=PROJECTOR)({"ct": chest, "image": given})["image"] is given


def test_a_radiograph_without_ct_is_enough() -> None:
    assert Radiographd(projector=PROJECTOR)({"image": "xray.png"}) == {"image": "xray.png"}


def test_a_case_with_neither_is_refused() -> None:
    with pytest.raises(InputError, match="case 7: found neither 'image' nor 'ct'; wanted a radiograph, or a CT"):
        Radiographd(projector=PROJECTOR)({"case": "7"})


def test_it_hangs_as_radiographs_do(chest: MetaTensor) -> None:
    """The heart is on the patient's left, hence right of the middle; the abdomen below is denser than the lungs."""
    picture = radiograph_of(chest, PROJECTOR)[0].as_tensor()
    assert picture[22:26, 28:31].mean() > 1.15 * picture[22:26, 17:20].mean()
    assert picture[31:33, 12:18].mean() > 1.3 * picture[15:18, 12:18].mean()


def test_its_values_are_millimetres_of_water() -> None:
    water = MetaTensor(torch.zeros(1, 4, 4, 4), affine=torch.diag(torch.tensor([50.0, 30.0, 50.0, 1.0])))
    picture = radiograph_of(water, TrilinearProjector(ConeBeam.covering(10, pixels=1)))
    assert float(picture) == pytest.approx(120)


def test_the_grids_middle_is_at_the_isocentre(chest: MetaTensor) -> None:
    middle = (torch.tensor(chest.shape[1:]) - 1) / 2
    affine = isocentric_affine(chest)
    assert float((affine[:3, :3] @ middle.double() + affine[:3, 3]).abs().max()) < 1e-6


def test_another_centre_is_at_the_isocentre_if_asked_for(chest: MetaTensor) -> None:
    """The scan as read, centred on its lungs, and its field of view centred on the lungs show the same."""
    field = FieldOfViewd("ct", (288, 384, 384), (36, 48, 48))({"ct": chest})["ct"]
    scan = radiograph_of(chest, PROJECTOR, centre="lungs").as_tensor()
    both = torch.stack([scan[0, 10:30], radiograph_of(field, PROJECTOR).as_tensor()[0, 10:30]]).flatten(1)
    assert float(torch.corrcoef(both)[0, 1]) > 0.995


def test_it_does_not_depend_on_how_the_ct_is_stored(chest: MetaTensor) -> None:
    stored = Orientation(axcodes="SPL", labels=None)(chest)
    pictures = [radiograph_of(image, PROJECTOR).as_tensor() for image in (chest, stored)]
    torch.testing.assert_close(*pictures, atol=0.05, rtol=0)


def test_another_density_may_be_projected(chest: MetaTensor) -> None:
    published = Radiographd(projector=PROJECTOR, density=published_density)({"ct": chest})["image"]
    water = Radiographd(projector=PROJECTOR)({"ct": chest})["image"]
    assert 0 < float(published.max()) < float(water.max())


def test_it_names_its_case(chest: MetaTensor) -> None:
    assert radiograph_of(chest, PROJECTOR).meta["case"] == "2"


def test_its_affine_is_that_of_the_plane_of_the_isocentre(chest: MetaTensor) -> None:
    """The first pixel is on the patient's right at his head; 40 rows and 48 columns of 8 mm."""
    affine = radiograph_of(chest, PROJECTOR).affine.numpy()
    np.testing.assert_allclose(affine @ [0, 0, 0, 1], [188, 0, 156, 1])
    np.testing.assert_allclose(affine @ [39, 47, 0, 1], [-188, 0, -156, 1])


def test_an_unknown_centre_is_refused() -> None:
    with pytest.raises(InputError, match="Radiographd, centre: found 'heart'; wanted one of lungs, body, image"):
        Radiographd(projector=PROJECTOR, centre="heart")
