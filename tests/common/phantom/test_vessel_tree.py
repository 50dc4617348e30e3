"""Branching vessels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import default_rng

from transmodal.phantom.vessel_tree import VesselTree

TARGETS = default_rng(1).uniform(-40, 40, (60, 3))


@pytest.fixture(scope="module")
def tree() -> VesselTree:
    return VesselTree.grow((0.0, 0.0, 0.0), TARGETS, twig=1.0, rng=default_rng(0))


def test_every_target_is_reached(tree: VesselTree) -> None:
    gaps = np.linalg.norm(tree.nodes[:, None] - TARGETS, axis=2).min(axis=0)
    assert gaps.max() < 1e-9


def test_every_node_leads_back_to_the_root(tree: VesselTree) -> None:
    assert tree.parents[0] == -1
    assert (tree.parents[1:] < np.arange(1, len(tree.parents))).all()
    assert (tree.parents[1:] >= 0).all()


def test_radii_follow_murray_s_law(tree: VesselTree) -> None:
    assert tree.radii[0] == pytest.approx(60 ** (1 / 2.7))
    assert tree.radii.min() == pytest.approx(1.0)
    assert (tree.radii[tree.parents[1:]] >= tree.radii[1:]).all()


def test_pieces_are_short(tree: VesselTree) -> None:
    tubes = tree.tubes()
    assert np.linalg.norm(tubes.stop - tubes.start, axis=1).max() < 14 * 1.5


def test_thin_pieces_can_be_left_out(tree: VesselTree) -> None:
    assert tree.tubes(thicker_than=1.5).radius.min() > 1.5


def test_clots_lie_inside_the_tree_and_are_narrower(tree: VesselTree) -> None:
    clots = tree.clots(5, thicker_than=1.2, rng=default_rng(2))
    lumen = {tuple(stop): radius for stop, radius in zip(tree.nodes, tree.radii, strict=True)}
    assert len(clots.radius) >= 5
    assert all(r == pytest.approx(0.85 * lumen[tuple(s)]) for s, r in zip(clots.stop, clots.radius, strict=True))


def test_a_tree_without_thick_branches_has_no_clots(tree: VesselTree) -> None:
    assert not len(tree.clots(5, thicker_than=99, rng=default_rng(2)).radius)
