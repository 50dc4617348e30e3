"""Exports of every bundle's network: each part as a program and as an ONNX graph, and inference that runs the graphs.

Weights are random numbers, none of them zero: layers that start silent would hide what an exporter does to them.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from contract import Bundle
from export import OVERLAY, Written, export
from exporting.checking import checked_script
from exporting.examples import SHOWN, image_of
from exporting.programs import write_script
from importing.layers import Layers
from tests.bundles.row import Direction
from tests.bundles.tiny import BUNDLES, ROOT, TINY, WRITTEN, importable, read, run
from translating.model import Model, cause_of
from transmodal.checkpoints import save_weights
from transmodal.phantom import write_phantoms

ONE_OF_TWINS = {"ct_mr_cyclegan_translation": ["ct"], "ct_mr_syndiff_translation": ["first.predict"]}
"""Parts of networks that have two of one kind, of which one tells enough."""
PADDED = {"ct_mr_mddga_translation"}
"""Bundles whose overlay pads the images."""
TOLERANCE = {"ct": 1.0, "mr": 0.1, "t1ce": 0.1, "mask": 0.0}
"""In HU, of which files hold whole ones; on the scale [0, 1000] of MR; of labels."""


@dataclass(frozen=True)
class Exported:
    """A bundle in small, with its exports.

    Args:
        bundle: its folder.
        model: with random weights.
        folder: of the exports.
        written: all of them.
        ids: what inference needs to find them.
    """

    bundle: Path
    model: Model
    folder: Path
    written: list[Written]
    ids: Mapping[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module", params=BUNDLES, ids=lambda path: path.name)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    bundle, folder = request.param, tmp_path_factory.mktemp(request.param.name)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ids: dict[str, Any] = dict(TINY[bundle.name].network)
    if "patch" in Bundle(bundle).read(
        "inference"
    ):  # else most of an image would be padding, which is rounding to norms
        ids["patch"] = [24, 24]
    if bundle.name in ONE_OF_TWINS:
        ids["onnx_parts"] = ONE_OF_TWINS[bundle.name]
    layers = Layers(Bundle(bundle), (bundle / OVERLAY,), ids)
    with importable(bundle):
        save_weights(loud(layers.parser.get_parsed_content("network_def")).state_dict(), folder / "model.pt")
    model = Model(Layers(layers.bundle, layers.overlays, ids), folder / "model.pt")
    written = list(export(model, folder, ("onnx", "pt2")))
    return Exported(bundle, model, folder, written, {**ids, "onnx_path": str(folder / "onnx")})


def loud(network: nn.Module) -> nn.Module:
    """The network with every parameter moved, so that nothing in it is silent."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network


def test_programs_are_what_was_exported(exported: Exported) -> None:
    """At other sizes than those of the export, and for one image instead of several."""
    assert max(each.apart.largest for each in exported.written if each.path.suffix == ".pt2") <= 1e-5


def test_graphs_differ_by_rounding_from_what_was_exported(exported: Exported) -> None:
    assert max(each.apart.largest for each in exported.written if each.path.suffix == ".onnx") <= 2e-5


def test_every_part_is_exported(exported: Exported) -> None:
    parts = exported.model.layers.parser["onnx_parts"]
    files = {path.relative_to(exported.folder).as_posix() for path in exported.folder.glob("*/*")}
    assert files == {f"{kind}/{part}.{kind}" for part in parts for kind in ("onnx", "pt2")}


def test_scripts_compute_what_the_network_computes(exported: Exported, tmp_path: Path) -> None:
    if not TINY[exported.bundle.name].scriptable:
        pytest.skip("this network cannot be had in TorchScript")
    with importable(exported.bundle):
        network = exported.model.layers.parser.get_parsed_content("network_def").eval()
        write_script(network, tmp_path / "model.ts", {"version": "1"})
        image = image_of(exported.model.layers, network, SHOWN[exported.bundle.name])
        assert checked_script(network, image, tmp_path / "model.ts").largest <= 1e-5
        told = {"metadata.json": ""}
        torch.jit.load(tmp_path / "model.ts", _extra_files=told)
    assert b"version" in bytes(told["metadata.json"])


def test_inference_by_onnx_runtime_writes_what_pytorch_writes(exported: Exported, tmp_path: Path) -> None:
    row = TINY[exported.bundle.name]
    write_phantoms(tmp_path / "data", cases=1, **row.phantoms)
    files = {"dataset_dir": str(tmp_path / "data"), "ckpt_path": str(exported.model.weights)}
    direction = row.directions[0] if row.directions else Direction((), "", {})
    for name, config in (("pytorch", "inference"), ("onnx", "inference_onnx")):
        ids = {**exported.ids, **direction.ids, **files, "output_dir": str(tmp_path / name)}
        if name == "pytorch" and exported.bundle.name in PADDED:
            config, ids["evaluator#network"] = "inference_onnx", weights_alone()
        run(exported.bundle, config, **ids)
    wanted, found = tmp_path / "pytorch", tmp_path / "onnx"
    names = sorted(path.relative_to(wanted) for path in wanted.rglob("*.*") if path.suffix in (".gz", ".csv"))
    assert names == sorted(path.relative_to(found) for path in found.rglob("*.*") if path.suffix in (".gz", ".csv"))
    for each in names:
        (same_table if each.suffix == ".csv" else same_image)(wanted / each, found / each)


def weights_alone() -> dict[str, Any]:
    """What runs the network of an overlay by PyTorch."""
    return {"_target_": "transmodal.checkpoints.load_weights", "network": "@network", "path": "@ckpt_path"}


def same_image(wanted: Path, found: Path) -> None:
    (a, affine), (b, other) = read(wanted), read(found)
    np.testing.assert_array_equal(affine, other)
    assert a.dtype == b.dtype
    modality = wanted.name.partition(".")[0].partition("_")[0]
    assert modality in WRITTEN
    np.testing.assert_allclose(b.astype(float), a.astype(float), rtol=0, atol=TOLERANCE[modality])
    assert len(np.unique(a)) > 1 or modality == "mask"  # random logits may agree everywhere


def same_table(wanted: Path, found: Path) -> None:
    a, b = (list(csv.reader(path.read_text(encoding="utf-8").splitlines())) for path in (wanted, found))
    assert len(a) == len(b) > 1
    for cell, other in zip(chain.from_iterable(a), chain.from_iterable(b), strict=True):
        assert cell == other or float(other) == pytest.approx(float(cell), abs=1e-4), (cell, other)


def test_every_overlay_that_replaces_the_network_gives_its_name_and_keeps_the_others() -> None:
    files = [path for path in ROOT.glob("bundles/*/configs/*.json") if "evaluator#network" in path.read_text("utf-8")]
    overlays = [path for path in files if path.name != "inference_slices.json"]  # which only tells what trains it
    assert len(overlays) == 2 * len(BUNDLES) + 2
    for path in overlays:
        call = json.loads(path.read_text(encoding="utf-8"))["+evaluator#network"]
        assert call.keys() == {"_target_", path.stem}
        assert call["_target_"] == "transmodal.exported.replaced"
        assert call[path.stem]["_mode_"] == "callable"


@pytest.mark.parametrize(
    "names", [("lora", "onnx"), ("onnx", "lora"), ("onnx", "trt"), ("onnx", "latents"), ("latents", "onnx")]
)
@pytest.mark.parametrize("after", [(), ("evaluate",)], ids=["alone", "evaluated"])
def test_two_overlays_that_replace_the_network_are_refused_in_either_order(
    names: tuple[str, str], after: tuple[str, ...]
) -> None:
    bundle = ROOT / "bundles" / "chest_xray_ctpa_translation"
    overlays = tuple(bundle / f"configs/{name}.json" for name in (*(f"inference_{name}" for name in names), *after))
    parser = Layers(Bundle(bundle), overlays, {"network": None}).parser
    with pytest.raises(RuntimeError) as error, importable(bundle):
        parser.get_parsed_content("evaluator#network")
    cause = cause_of(error.value)
    assert f"inference_{names[0]}.json and inference_{names[1]}.json" in str(cause)


@pytest.mark.parametrize("kind", ["onnx", "trt"])
@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.name)
def test_an_evaluation_before_or_after_the_overlay_is_the_same(bundle: Path, kind: str) -> None:
    configs = [bundle / f"configs/{name}.json" for name in ("evaluate", f"inference_{kind}")]
    before, after = (Layers(Bundle(bundle), tuple(order)).parser.get() for order in (configs, configs[::-1]))
    assert before["evaluator"]["network"]["_target_"] == "transmodal.exported.replaced"
    assert {**before, "_desc_": ""} == {**after, "_desc_": ""}


@pytest.mark.parametrize("names", [("onnx", "slices"), ("slices", "onnx")])
def test_a_stage_of_mddga_is_not_run_by_graphs_of_the_whole(names: tuple[str, str]) -> None:
    bundle = ROOT / "bundles" / "ct_mr_mddga_translation"
    overlays = tuple(bundle / f"configs/inference_{name}.json" for name in names)
    parser = Layers(Bundle(bundle), overlays, {"network": None}).parser
    with pytest.raises(RuntimeError) as error:
        parser.get_parsed_content("evaluator#network")
    assert "a config that runs one stage of the network" in str(cause_of(error.value))
