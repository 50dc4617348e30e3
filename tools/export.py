"""Export the networks of a bundle: as ONNX graphs, as programs of torch.export, or in TorchScript."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fire
from torch import nn

os.environ.setdefault("MONAI_FAIL_ON_DUPLICATE_CONFIG", "1")
from benchmarks import options
from exporting.checking import checked
from exporting.examples import SHOWN, Example, Shown, examples_of
from exporting.programs import program_of, write_graph, write_program, write_script
from importing.layers import Layers
from translating.model import Model, model_of
from transmodal.checkpoints import load_weights
from transmodal.errors import InputError

OVERLAY = "configs/inference_onnx.json"
FORMATS = ("onnx", "pt2", "torchscript")


@dataclass(frozen=True)
class Written:
    """A file that was exported.

    Args:
        path: the file.
        seconds: that it took.
        difference: from PyTorch, of values in [-1, 1]; None if it is not known.
    """

    path: Path
    seconds: float
    difference: float | None = None

    def __str__(self) -> str:
        size = f"{self.path.stat().st_size / 1e6:.1f} MB in {self.seconds:.0f} s"
        return f"{self.path}: {size}" + ("" if self.difference is None else f", {self.difference:.1e} from PyTorch")


def export(model: Model, output: Path, formats: Sequence[str] = ("onnx",)) -> Iterator[Written]:
    """Write the networks of a bundle with its weights, and compare what was written with PyTorch.

    Args:
        model: the bundle with its weights, and ``onnx_parts`` among its ids.
        output: folder for ``onnx/<part>.onnx``, ``pt2/<part>.pt2`` and ``model.ts``.
        formats: some of :data:`FORMATS`.
    Yields:
        Each file when it is there.
    Raises:
        InputError: if a part cannot be exported, or differs; files that were yielded stay.
    """
    with model.bundle.importable():
        network: nn.Module = model.layers.parser.get_parsed_content("network_def").eval()
        load_weights(network, model.weights)
        if set(formats) - {"torchscript"}:
            parts = model.layers.parser.get_parsed_content("onnx_parts")
            examples = examples_of(_fresh(model.layers), parts, SHOWN.get(model.bundle.name, Shown()))
            for name, example in examples.items():
                yield from _parts(model, network, name, example, output, formats)
        if "torchscript" in formats:
            yield _script(model, network, output / "model.ts")


def _parts(
    model: Model, network: nn.Module, name: str, example: Example, output: Path, formats: Sequence[str]
) -> Iterator[Written]:
    start = time.monotonic()
    program = program_of(network, name, example)
    for kind in (kind for kind in FORMATS[:2] if kind in formats):
        path = output / kind / f"{name}.{kind}"
        if kind == "onnx":
            write_graph(program, network, name, example.names, path, model.weights_sha256)
        else:
            write_program(program, path)
        yield Written(path, time.monotonic() - start, checked(network, name, example, path))
        start = time.monotonic()


def _script(model: Model, network: nn.Module, path: Path) -> Written:
    start = time.monotonic()
    try:
        write_script(network, path, model.bundle.metadata)
    except Exception as error:  # TorchScript refuses in many ways
        raise InputError(
            model.bundle.name,
            found=f"a network that TorchScript cannot take ({str(error).strip().splitlines()[0]})",
            wanted="one that it can",
            remedy="leave torchscript out of --format; onnx and pt2 take it",
        ) from error
    return Written(path, time.monotonic() - start)


def _model(bundle: str, overlays: Sequence[str], ckpt_path: str | None, ids: dict[str, Any]) -> Model:
    """The bundle with its weights; a network may depend on what it translates, so that may be given here."""
    direction = {key: ids[key] for key in ("source", "target") if key in ids}
    others = {key: value for key, value in ids.items() if key not in direction}
    model = model_of(bundle, overlays, ckpt_path, others)
    layers = Layers(model.bundle, model.layers.overlays, {**model.layers.ids, **direction})
    layers.check_ids()
    return Model(layers, model.weights)


def _fresh(layers: Layers) -> Layers:
    """The same layers with a parser of their own, which has not made the network with the weights."""
    return Layers(layers.bundle, layers.overlays, layers.ids)


def main(
    bundle: str,
    output: str | None = None,
    format: str | Sequence[str] = "onnx",
    config: str | Sequence[str] = (),
    ckpt_path: str | None = None,
    **ids: Any,
) -> None:
    """Export the networks of a bundle; sizes of images and batches stay open. Exit status 1 if that fails.

    Afterwards the bundle runs them by ONNX Runtime with configs/inference_onnx.json over its other configs.

    python3 tools/export.py ct_mr_cyclegan_translation
    python3 tools/export.py ct_mr_syndiff_translation --config configs/small.json --ckpt_path trained/model.pt
        --format onnx,pt2,torchscript --output exported

    Args:
        bundle: name or folder of a bundle, also of an unpacked one.
        output: folder for onnx/<part>.onnx, pt2/<part>.pt2 and model.ts; the bundle's models/ by default.
        format: onnx, pt2 (torch.export), torchscript, or several with commas between.
        config: config over the bundle's inference.json that its weights need, or several with commas between.
        ckpt_path: weights in place of the bundle's models/model.pt.
        ids: ids of the config that the weights need, such as --channels 32; --onnx_parts to export other parts.
    """
    try:
        formats = [str(each) for each in options.listed(format)]
        if not formats or set(formats) - set(FORMATS):
            raise InputError(
                "--format",
                found=", ".join(formats) or "nothing",
                wanted=", ".join(FORMATS),
                remedy="write --format onnx,pt2",
            )
        model = _model(bundle, (*map(str, options.listed(config)), OVERLAY), ckpt_path, ids)
        for written in export(model, model.bundle.root / "models" if output is None else Path(str(output)), formats):
            print(written, flush=True)
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    fire.Fire(main)
