"""Images of one phantom: physics, geometry and randomness together."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from transmodal.errors import InputError
from transmodal.phantom import Chest, Head, Region, Thigh, Tissue, Trunk, make_case

Case = dict[str, MetaTensor]
Draw = Callable[..., Case]
REGIONS = [Thigh(), Trunk(), Head(), Chest()]
SMALL = (24, 24, 10)
every_region = pytest.mark.parametrize("region", REGIONS, ids=lambda region: type(region).__name__)


def array(image: torch.Tensor) -> NDArray[np.float32]:
    return np.asarray(image[0], dtype=np.float32)


def typical(case: Case, modality: str, tissue: Tissue) -> float:
    """Median where the tissue and nothing else is: inside its label by one voxel, or all of it where it is thin."""
    label = array(case["label"]) == tissue
    inner = binary_erosion(label)
    return float(np.median(array(case[modality])[inner if inner.sum() > 20 else label]))


@every_region
def test_images_have_their_types_and_the_shape_asked_for(region: Region) -> None:
    case = make_case(region, 0, shape=SMALL)
    types = {"ct": torch.int16, "mr": torch.float32, "mask": torch.uint8, "lesion": torch.uint8, "label": torch.uint8}
    assert {name: image.dtype for name, image in case.items()} == types
    assert {tuple(image.shape) for image in case.values()} == {(1, *SMALL)}


@pytest.mark.parametrize(
    ("region", "tissue", "low", "high"),
    [
        (Thigh(), Tissue.FAT, -120, -80),
        (Thigh(), Tissue.MUSCLE, 40, 65),
        (Thigh(), Tissue.CORTICAL_BONE, 1000, 1700),
        (Trunk(), Tissue.FAT, -120, -80),
        (Trunk(), Tissue.TRABECULAR_BONE, 100, 400),
        (Head(), Tissue.WHITE_MATTER, 20, 33),
        (Head(), Tissue.GREY_MATTER, 30, 45),
        (Chest(), Tissue.AIR, -1024, -980),
        (Chest(), Tissue.LUNG, -880, -720),
        (Chest(), Tissue.MIXED_BLOOD, 180, 300),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_ct_numbers_are_those_of_the_tissue(
    small_case: Draw, region: Region, tissue: Tissue, low: float, high: float
) -> None:
    assert low <= typical(small_case(region, 0, "ct", "mr"), "ct", tissue) <= high


def test_t1_shows_fat_then_white_then_grey_matter_then_fluid(small_case: Draw) -> None:
    case = small_case(Head(1.0), 5, "t1", "t1ce", "t2", "flair")
    order = (Tissue.FAT, Tissue.WHITE_MATTER, Tissue.GREY_MATTER, Tissue.CSF)
    brightness = [typical(case, "t1", tissue) for tissue in order]
    assert brightness == sorted(brightness, reverse=True)


def test_t2_shows_fluid_bright(small_case: Draw) -> None:
    case = small_case(Head(1.0), 5, "t1", "t1ce", "t2", "flair")
    order = (Tissue.CSF, Tissue.GREY_MATTER, Tissue.WHITE_MATTER, Tissue.MUSCLE)
    brightness = [typical(case, "t2", tissue) for tissue in order]
    assert brightness == sorted(brightness, reverse=True)


def test_flair_shows_fluid_dark_and_lesions_bright(small_case: Draw) -> None:
    case = small_case(Head(1.0), 5, "t1", "t1ce", "t2", "flair")
    brain = [typical(case, "flair", tissue) for tissue in (Tissue.GREY_MATTER, Tissue.WHITE_MATTER)]
    assert typical(case, "flair", Tissue.CSF) < 0.6 * min(brain)
    assert all(typical(case, "flair", t) > 1.15 * max(brain) for t in (Tissue.LESION, Tissue.OEDEMA))


def test_lesions_enhance_and_brain_does_not(small_case: Draw) -> None:
    case = small_case(Head(1.0), 5, "t1", "t1ce", "t2", "flair")
    gain = {t: typical(case, "t1ce", t) / typical(case, "t1", t) for t in (Tissue.LESION, Tissue.WHITE_MATTER)}
    assert gain[Tissue.LESION] > 1.3
    assert gain[Tissue.WHITE_MATTER] == pytest.approx(1, abs=0.08)


def test_t1_of_a_thigh_shows_fat_bright_muscle_grey_and_bone_black(small_case: Draw) -> None:
    case = small_case(Thigh(), 0, "ct", "mr")
    fat, muscle, bone = (typical(case, "mr", t) for t in (Tissue.FAT, Tissue.MUSCLE, Tissue.CORTICAL_BONE))
    assert fat > 2 * muscle > 4 * bone


def test_ct_and_mr_are_of_the_same_patient(small_case: Draw) -> None:
    """Dense bone of the CT is dark in the MR, voxel by voxel."""
    case = small_case(Thigh(), 0, "ct", "mr")
    assert np.median(array(case["mr"])[array(case["ct"]) > 1000]) < 150


@every_region
def test_the_mask_holds_the_body_and_neither_air_nor_couch(small_case: Draw, region: Region) -> None:
    case = small_case(region, 0, "ct", "mr")
    inside, label = array(case["mask"]) > 0, array(case["label"])
    assert 0.1 < inside.mean() < 0.8
    assert np.isin(label[~inside], (Tissue.AIR, Tissue.COUCH, Tissue.SKIN)).mean() > 0.99
    assert not np.isin(label[inside], (Tissue.AIR, Tissue.COUCH)).any()


def test_equal_seeds_give_equal_bytes_and_others_do_not() -> None:
    first, again, other = (make_case(Thigh(), seed, shape=SMALL) for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in ("ct", "mr", "mask", "label"))


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_number_of_threads() -> None:
    program = (
        "from hashlib import sha256; from transmodal.phantom import Head, make_case;"
        "images = make_case(Head(), 1, shape=(24, 24, 10), modalities=('ct', 't1'));"
        "print(sha256(b''.join(image.numpy().tobytes() for image in images.values())).hexdigest())"
    )
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "4")
    shell = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **threads}, capture_output=True, text=True, check=True
    )
    here = make_case(Head(), 1, shape=SMALL, modalities=("ct", "t1"))
    assert shell.stdout.strip() == sha256(b"".join(image.numpy().tobytes() for image in here.values())).hexdigest()


def test_an_image_does_not_depend_on_which_others_are_made() -> None:
    alone = make_case(Head(), 0, shape=SMALL, modalities=["t2"])
    among = make_case(Head(), 0, shape=SMALL, modalities=["ct", "flair", "t2", "t1"])
    assert torch.equal(alone["t2"], among["t2"])


@every_region
@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((1, 1, 1), (2, 2, 4)), ((24, 24, 1), (8, 8, 5)), ((12, 10, 30), (40, 40, 40))],
    ids=["voxel", "slice", "far beyond the body"],
)
@pytest.mark.filterwarnings("error")
def test_any_grid_gives_finite_images(region: Region, shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    case = make_case(region, 1, shape, spacing, modalities=("ct", "mr", "flair"))
    assert all(torch.isfinite(image.float()).all() for image in case.values())


@every_region
def test_a_finer_grid_shows_the_same_patient(region: Region) -> None:
    coarse, fine = (make_case(region, 2, shape=shape, modalities=()) for shape in ((32, 32, 12), (64, 64, 24)))
    pooled = torch.nn.functional.avg_pool3d(fine["mask"].as_tensor().float(), 2)
    assert ((pooled >= 0.5) == (coarse["mask"].as_tensor() > 0)).float().mean() > 0.98


@every_region
def test_a_larger_field_of_view_shows_the_same_patient(region: Region) -> None:
    spacing = tuple(extent / 32 for extent in region.field_of_view)
    part, whole = (make_case(region, 2, shape, spacing, modalities=())["label"] for shape in ((16,) * 3, (32,) * 3))
    inner = slice(1, -1)  # at its border a grid sees edges from one side only
    same = array(whole)[9:23, 9:23, 9:23] == array(part)[inner, inner, inner]
    assert same.mean() > 0.995


def test_the_affine_places_voxels_in_ras_away_from_the_origin() -> None:
    affine = make_case(Thigh(), 0, shape=SMALL, spacing=(3, 2, 5))["ct"].affine.numpy()
    assert np.array_equal(affine[:3, :3], np.diag([-3, -2, 5]))
    assert np.linalg.norm(affine[:3, 3]) > 50


def test_without_a_spacing_the_whole_region_is_seen() -> None:
    affine = make_case(Chest(), 0, shape=(20, 30, 12))["ct"].affine.numpy()
    assert np.diag(affine)[:3].tolist() == [-18, -12, 24]  # 360 x 360 x 288 mm


def centre_of(case: Case, *tissues: Tissue) -> NDArray[np.float64]:
    """Mean position of tissues in patient coordinates, RAS mm."""
    indices = np.argwhere(np.isin(array(case["label"]), tissues)).mean(axis=0)
    return np.asarray((case["label"].affine.numpy() @ [*indices, 1])[:3])


def test_in_the_chest_the_heart_lies_left_of_and_in_front_of_the_spine(small_case: Draw) -> None:
    case = small_case(Chest(), 0, "ct", "mr")
    heart, spine = centre_of(case, Tissue.MYOCARDIUM), centre_of(case, Tissue.CSF, Tissue.NERVE)
    assert heart[0] < spine[0] - 10  # x grows to the right
    assert heart[1] > spine[1] + 40  # y grows to the front


def test_in_the_chest_lungs_lie_above_the_liver(small_case: Draw) -> None:
    case = small_case(Chest(), 0, "ct", "mr")
    assert centre_of(case, Tissue.LUNG)[2] > centre_of(case, Tissue.ORGAN)[2] + 60


def test_in_the_head_frontal_sinus_and_globes_lie_in_front_and_low(small_case: Draw) -> None:
    case = small_case(Head(), 0, "ct", "mr")
    front, brain = centre_of(case, Tissue.GAS, Tissue.FLUID), centre_of(case, Tissue.WHITE_MATTER)
    assert front[1] > brain[1] + 30
    assert front[2] < brain[2] - 15


def test_the_side_of_a_thigh_is_that_where_it_lies(small_case: Draw) -> None:
    """Femoral vessels run on the inner side of the femur."""
    sides = set()
    for seed in range(6):
        case = small_case(Thigh(), seed, "ct", "mr")
        femur, vessels = centre_of(case, Tissue.CORTICAL_BONE), centre_of(case, Tissue.BLOOD)
        assert abs(vessels[0]) < abs(femur[0])
        sides.add(femur[0] > 0)
    assert sides == {True, False}


@pytest.mark.parametrize(
    ("never", "always"),
    [(Thigh(0.0), Thigh(1.0)), (Trunk(0.0), Trunk(1.0)), (Chest(0.0), Chest(1.0))],
    ids=["Thigh", "Trunk", "Chest"],
)
def test_lesions_come_as_often_as_asked(small_case: Draw, never: Region, always: Region) -> None:
    for seed in range(3):
        assert not small_case(never, seed)["lesion"].any()
        assert small_case(always, seed)["lesion"].any()


def test_emboli_are_filling_defects_in_opacified_arteries(small_case: Draw) -> None:
    case = small_case(Chest(1.0), 0, "ct")
    assert typical(case, "ct", Tissue.EMBOLUS) < typical(case, "ct", Tissue.OPACIFIED_BLOOD) - 100


def test_a_region_must_be_an_instance() -> None:
    with pytest.raises(InputError, match=r"phantom region: found .*Thigh.*; wanted an instance of a Region"):
        make_case(Thigh, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("modalities", ["ct", ["ct", "pet"]])
def test_unknown_modalities_are_refused_by_name(modalities: list[str]) -> None:
    with pytest.raises(InputError, match=r"phantom modalities: found '(ct|pet)'; wanted a list of ct, mr, t1"):
        make_case(Thigh(), 0, modalities=modalities)


@pytest.mark.parametrize("seed", [-1, 1.5, True, (), (0, -1)])
def test_seeds_are_whole_numbers_from_zero(seed: int) -> None:
    with pytest.raises(InputError, match=r"phantom seed: found .*; wanted whole numbers from 0 up"):
        make_case(Thigh(), seed, shape=SMALL)


def test_a_skull_stripped_head_is_the_same_brain_in_nothing() -> None:
    contrasts = ("t1", "flair")
    whole = make_case(Head(), 5, shape=(40, 40, 6), modalities=contrasts)
    brain = make_case(Head(skull_stripped=True), 5, shape=(40, 40, 6), modalities=contrasts)
    mask = array(brain["mask"]) > 0
    deep = binary_erosion(mask, iterations=2)
    assert 0.3 < mask.sum() / (array(whole["mask"]) > 0).sum() < 0.8
    for name in contrasts:
        assert (array(brain[name])[~mask] == 0).all()
        np.testing.assert_array_equal(array(brain[name])[deep], array(whole[name])[deep])
    assert set(np.unique(array(brain["label"])[mask])) <= set(np.unique(array(whole["label"])))


def test_a_flag_given_as_text_is_refused() -> None:
    with pytest.raises(InputError, match="skull_stripped"):
        Head(skull_stripped="yes")
