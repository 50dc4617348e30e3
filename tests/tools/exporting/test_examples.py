"""What the parts of a network are given, told by the inferer of a bundle in small."""

from __future__ import annotations

import pytest
from torch import nn

from contract import Bundle
from exporting.examples import SHOWN, Shown, examples_of, size_multiple
from exporting.programs import flat
from importing.layers import Layers
from tests.bundles.tiny import BUNDLES, ROOT, TINY
from transmodal.errors import InputError

CYCLEGAN = ROOT / "bundles" / "ct_mr_cyclegan_translation"
MUDIFF = ROOT / "bundles" / "brain_mri_mudiff_synthesis"
XRAY = ROOT / "bundles" / "chest_xray_ctpa_translation"


@pytest.fixture
def layers() -> Layers:
    return Layers(Bundle(CYCLEGAN), (), dict(TINY[CYCLEGAN.name].network))


def test_every_bundle_says_what_its_inferer_is_shown() -> None:
    assert sorted(SHOWN) == [path.name for path in BUNDLES]


def test_both_directions_are_reached_with_different_sizes(layers: Layers) -> None:
    with layers.bundle.importable():
        examples = examples_of(layers, ["ct", "mr"], SHOWN[CYCLEGAN.name])
    for example in examples.values():
        (first,), (second,) = flat(example.first), flat(example.second)
        assert [a != b for a, b in zip(first.shape, second.shape, strict=True)] == [True, False, True, True]
        assert example.names == ("image",)


def test_a_tuple_gives_its_fields_names() -> None:
    layers = Layers(Bundle(XRAY), (), dict(TINY[XRAY.name].network))
    with layers.bundle.importable():
        example = examples_of(layers, ["denoiser"], SHOWN[XRAY.name])["denoiser"]
    assert example.names == ("image_embedding", "image_tokens", "image_plane", "noisy", "timesteps", "drop")
    assert len(flat(example.first)) == 6


def test_parts_do_not_compute_and_answer_zeros() -> None:
    """The second denoiser of MU-Diff is given what the first one answers."""
    layers = Layers(Bundle(MUDIFF), (), dict(TINY[MUDIFF.name].network))
    with layers.bundle.importable():
        example = examples_of(layers, ["specific.predict", "aware.predict"], SHOWN[MUDIFF.name])["aware.predict"]
    guess = flat(example.first)[example.names.index("guess")]
    assert guess.shape == flat(example.first)[0].shape
    assert not guess.any()


def test_a_part_that_inference_never_calls_is_an_error(layers: Layers) -> None:
    with (
        layers.bundle.importable(),
        pytest.raises(InputError, match=r"found an inferer that never calls mr.*\n.*onnx_parts"),
    ):
        examples_of(layers, ["ct", "mr"], Shown(unit=16, turns=({"source": "mr"},)))


def test_an_unknown_part_is_an_error(layers: Layers) -> None:
    with layers.bundle.importable(), pytest.raises(InputError, match="the part 'pet'"):
        examples_of(layers, ["pet"], SHOWN[CYCLEGAN.name])


def test_the_size_that_all_levels_halve_is_found_below_wrappers() -> None:
    inner = nn.Conv2d(1, 1, 1)
    inner.size_multiple = 8
    assert size_multiple(nn.Sequential(nn.Sequential(inner))) == 8
    assert size_multiple(nn.Conv2d(1, 1, 1)) == 1
