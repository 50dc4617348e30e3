"""Signal equations, noise and bias field."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from numpy.random import default_rng

from transmodal.phantom import PROPERTIES, Properties, Tissue
from transmodal.phantom.anatomy import Anatomy
from transmodal.phantom.grid import Grid
from transmodal.phantom.signals import CONTRASTS, Contrast, coil_field, ct_image, hounsfield, mr_image, tissue_texture

GRID = Grid((48, 48, 6), (2.0, 2.0, 4.0))
ZERO, ONE = GRID.zeros(), GRID.zeros() + 1


def pure(tissue: Tissue) -> Anatomy:
    return Anatomy(GRID, {tissue: ONE}, body=ONE)


def signals(contrast: str, *tissues: Tissue) -> list[float]:
    return [abs(CONTRASTS[contrast].signal(PROPERTIES[tissue])) for tissue in tissues]


def falling(values: list[float]) -> bool:
    return all(a > b * 1.05 for a, b in pairwise(values))


def test_spin_echo_follows_its_equation() -> None:
    tissue = Properties(0, 0, proton_density=0.8, t1=1000, t2=50)
    expected = 0.8 * (1 - math.exp(-0.5)) * math.exp(-0.4)  # by hand: TR/T1 = 0.5, TE/T2 = 0.4
    assert Contrast(tr=500, te=20).signal(tissue) == pytest.approx(expected)


def test_inversion_recovery_is_null_where_it_should_be() -> None:
    tissue = Properties(0, 0, proton_density=1, t1=1000, t2=100)
    null = 1000 * math.log(2 / (1 + math.exp(-9)))  # solves 1 - 2 exp(-TI/T1) + exp(-TR/T1) = 0
    assert Contrast(tr=9000, te=100, ti=null).signal(tissue) == pytest.approx(0, abs=1e-9)


def test_gadolinium_brightens_t1_where_it_goes_and_nowhere_else() -> None:
    plain, enhanced = CONTRASTS["t1"], CONTRASTS["t1ce"]
    for tissue in (Tissue.LESION, Tissue.BLOOD):
        assert enhanced.signal(PROPERTIES[tissue]) > 1.4 * plain.signal(PROPERTIES[tissue])
    for tissue in (Tissue.CSF, Tissue.FAT, Tissue.PLAQUE, Tissue.NECROSIS):
        assert enhanced.signal(PROPERTIES[tissue]) == pytest.approx(plain.signal(PROPERTIES[tissue]))


def test_t1_orders_tissues_fat_white_grey_fluid_bone() -> None:
    assert falling(signals("t1", Tissue.FAT, Tissue.WHITE_MATTER, Tissue.GREY_MATTER, Tissue.CSF, Tissue.CORTICAL_BONE))


def test_t2_orders_tissues_fluid_lesion_grey_white_muscle() -> None:
    assert falling(signals("t2", Tissue.CSF, Tissue.LESION, Tissue.GREY_MATTER, Tissue.WHITE_MATTER, Tissue.MUSCLE))


def test_flair_orders_tissues_lesion_grey_white_and_nulls_fluid() -> None:
    values = signals("flair", Tissue.PLAQUE, Tissue.GREY_MATTER, Tissue.WHITE_MATTER, Tissue.CSF)
    assert falling(values)
    assert values[-1] < 0.1 * values[-2]


def test_subcutaneous_fat_is_near_1000_in_t1() -> None:
    image = mr_image(pure(Tissue.FAT), CONTRASTS["t1"], ZERO, ONE, default_rng(0))
    assert image.mean() == pytest.approx(1000, rel=0.01)


def test_noise_in_air_is_rayleigh_distributed() -> None:
    image = mr_image(pure(Tissue.AIR), CONTRASTS["t1"], ZERO, ONE, default_rng(0))
    # For a Rayleigh distribution mean / standard deviation = sqrt(pi / (4 - pi)).
    assert image.mean() / image.std() == pytest.approx(math.sqrt(math.pi / (4 - math.pi)), rel=0.03)


def test_the_bias_field_multiplies_the_signal() -> None:
    plain, biased = (
        mr_image(pure(Tissue.FAT), CONTRASTS["t1"], ZERO, c, default_rng(0)).mean() for c in (ONE, 2 * ONE)
    )
    assert biased == pytest.approx(2 * plain, rel=0.01)


def test_the_bias_field_is_smooth_and_near_one() -> None:
    coil = coil_field(GRID, default_rng(0))
    assert 0.6 < coil.min() < coil.max() < 1.6
    assert np.abs(np.diff(coil, axis=0)).max() < 0.02


def test_partial_volume_mixes_ct_numbers_in_proportion() -> None:
    half = ONE / 2
    mixed = Anatomy(GRID, {Tissue.FAT: half, Tissue.MUSCLE: half}, body=ONE)
    assert np.allclose(hounsfield(mixed, ZERO), (PROPERTIES[Tissue.FAT].hu + PROPERTIES[Tissue.MUSCLE].hu) / 2)


def test_texture_has_unit_variance() -> None:
    assert tissue_texture(GRID, default_rng(0)).std() == pytest.approx(1, abs=0.15)


def test_ct_noise_has_the_strength_asked_for_and_no_bias() -> None:
    image = ct_image(pure(Tissue.MUSCLE), ZERO, 12.0, 0.0, default_rng(0))
    assert image.std() == pytest.approx(12.0, rel=0.05)
    assert image.mean() == pytest.approx(PROPERTIES[Tissue.MUSCLE].hu, abs=0.5)


def test_ct_noise_is_weaker_where_rays_pass_less_tissue() -> None:
    thick = np.zeros(GRID.shape, dtype=np.float32)
    thick[:, :24] = 1
    anatomy = Anatomy(GRID, {Tissue.MUSCLE: thick, Tissue.AIR: 1 - thick}, body=thick)
    noise = ct_image(anatomy, ZERO, 12.0, 0.0, default_rng(0)) - hounsfield(anatomy, ZERO)
    assert noise[:, 30:].std() < 0.8 * noise[:, :18].std()


def test_streaks_run_from_side_to_side() -> None:
    image = ct_image(pure(Tissue.MUSCLE), ZERO, 12.0, 3.0, default_rng(0)).astype(np.float32)
    assert np.abs(np.diff(image, axis=1)).mean() > 1.1 * np.abs(np.diff(image, axis=0)).mean()


def test_ct_numbers_stay_within_the_scanner_s_range() -> None:
    image = ct_image(pure(Tissue.AIR), ZERO, 200.0, 0.0, default_rng(0))
    assert image.dtype == np.int16
    assert image.min() == -1024
