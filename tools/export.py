"""Export the networks of a bundle: as ONNX graphs, as programs of torch.export, or in TorchScript."""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fire
from torch import Tensor, nn

os.environ.setdefault("MONAI_FAIL_ON_DUPLICATE_CONFIG", "1")
from benchmarks import options
from exporting.checking import Difference, checked, checked_script
from exporting.examples import SHOWN, Example, Shown, examples_of, image_of
from exporting.programs import program_of, write_graph, write_program, write_script
from importing.layers import CONFIG, Layers
from packing.faults import ended_by_faults
from translating.model import Model, model_of
from transmodal.checkpoints import load_weights
from transmodal.errors import InputError

OVERLAY = "configs/inference_onnx.json"
FORMATS = ("onnx", "pt2", "torchscript")
SCRIPT = "torchscript/model.ts"
"""Not beside the weights: MONAI Deploy would run a models/model.ts in their place."""


@dataclass(frozen=True)
class Written:
    """A file that was exported.

    Args:
        path: the file.
        seconds: that it took.
        apart: from PyTorch, of values in [-1, 1].
    """

    path: Path
    seconds: float
    apart: Difference

    def __str__(self) -> str:
        size = f"{self.path.stat().st_size / 1e6:.1f} MB in {self.seconds:.0f} s"
        doubt = ", which answers random images by one value, so that this tells little" if self.apart.constant else ""
        return f"{self.path}: {size}, {self.apart.largest:.1e} from PyTorch{doubt}"


def export(model: Model, output: Path, formats: Sequence[str] = ("onnx",)) -> Iterator[Written]:
    """Write the networks of a bundle with its weights, and compare what was written with PyTorch.

    Args:
        model: the bundle with its weights, and ``onnx_parts`` among its ids.
        output: folder for ``onnx/<part>.onnx``, ``pt2/<part>.pt2`` and ``torchscript/model.ts``.
        formats: some of :data:`FORMATS`.
    Yields:
        Each file when it is there.
    Raises:
        InputError: if a part cannot be exported, or differs; files that were yielded stay.
    """
    with model.bundle.importable():
        network: nn.Module = model.layers.parser.get_parsed_content("network_def").eval()
        load_weights(network, model.weights)
        shown = SHOWN.get(model.bundle.name, Shown())
        if set(formats) - {"torchscript"}:
            parts = model.layers.parser.get_parsed_content("onnx_parts")
            examples = examples_of(_fresh(model.layers), parts, shown)
            for name, example in examples.items():
                yield from _parts(model, network, name, example, output, formats)
        if "torchscript" in formats:
            yield _script(model, network, image_of(model.layers, network, shown), output / SCRIPT)


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


def _script(model: Model, network: nn.Module, image: Tensor, path: Path) -> Written:
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
    return Written(path, time.monotonic() - start, checked_script(network, image, path))


def command_of(model: Model, output: Path) -> str:
    """How the bundle runs the graphs, from its folder: with the configs, ids and weights that were exported."""
    root = model.bundle.root.resolve()
    configs = [CONFIG, *(_beside(path, root) for path in model.layers.overlays)]
    options = {"config_file": str(configs).replace(", ", ","), **model.layers.ids}
    if model.weights != model.bundle.weights:
        options["ckpt_path"] = _beside(model.weights, root)
    if output.resolve() != root / "models":
        options["onnx_path"] = _beside(output / "onnx", root)
    options["dataset_dir"] = "SCANS"
    written = (f"--{key} {_quoted(str(value).replace(', ', ','))}" for key, value in options.items())
    return f"cd {_quoted(str(root))} && python -m monai.bundle run {' '.join(written)}"


def _beside(path: Path, root: Path) -> str:
    """A path as a run in ``root`` names it: from there, if both are of one checkout."""
    path = path.resolve()
    return os.path.relpath(path, root) if path.is_relative_to(root.parent.parent) else str(path)


def _quoted(text: str) -> str:
    if re.fullmatch(r"[\w./=+-]+", text):
        return text
    return shlex.quote(text) if set(text) & set('"$`\\!') else f'"{text}"'


def _model(bundle: str, overlays: Sequence[str], ckpt_path: str | None, ids: dict[str, Any]) -> Model:
    """The bundle with its weights; a network may depend on what it translates, so that may be given here."""
    direction = {key: ids[key] for key in ("source", "target") if key in ids}
    others = {key: value for key, value in ids.items() if key not in direction}
    model = model_of(bundle, overlays, ckpt_path, others)
    layers = Layers(model.bundle, model.layers.overlays, {**model.layers.ids, **direction})
    layers.check_ids()
    _check_network(layers)
    return Model(layers, model.weights)


def _check_network(layers: Layers) -> None:
    """Refuse configs by which inference runs something else than the network with its weights, such as adapters.

    Raises:
        InputError: if there is one.
    """
    plain = Layers(layers.bundle).parser["evaluator"]["network"]
    for path in layers.overlays[:-1]:
        if Layers(layers.bundle, (path,)).parser["evaluator"]["network"] != plain:
            raise InputError(
                path,
                found="a config that runs other weights than those of ckpt_path, or a part of them",
                wanted="configs of the network alone, which is what is exported",
                remedy="leave it out of --config; such a config is run by PyTorch",
            )


def _folder(output: Path) -> Path:
    """The folder to write in.

    Raises:
        InputError: if something else is there.
    """
    there = next(path for path in (output.absolute(), *output.absolute().parents) if path.exists())
    if not there.is_dir():
        raise InputError(there, found="a file", wanted="a folder for --output", remedy="name another one")
    return output


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

    The last line is the command by which the bundle then runs the graphs, with configs/inference_onnx.json.

    .venv/bin/python tools/export.py ct_mr_cyclegan_translation
    .venv/bin/python tools/export.py ct_mr_syndiff_translation --config configs/small.json --ckpt_path trained/model.pt
        --format onnx,pt2,torchscript --output exported

    Args:
        bundle: name or folder of a bundle, also of an unpacked one.
        output: folder for onnx/<part>.onnx, pt2/<part>.pt2 and torchscript/model.ts; the bundle's models/ by default.
        format: onnx, pt2 (torch.export), torchscript, or several with commas between.
        config: config over the bundle's inference.json that its weights need, or several with commas between.
        ckpt_path: weights in place of the bundle's models/model.pt.
        ids: ids of the config that the weights need, such as --channels 32; --onnx_parts to export other parts.
    """
    with ended_by_faults("--output" if output is None else str(output)):
        formats = [str(each) for each in options.listed(format)]
        if not formats or set(formats) - set(FORMATS):
            raise InputError(
                "--format",
                found=", ".join(formats) or "nothing",
                wanted=", ".join(FORMATS),
                remedy="write --format onnx,pt2",
            )
        model = _model(bundle, (*map(str, options.listed(config)), OVERLAY), ckpt_path, ids)
        folder = model.bundle.root / "models" if output is None else _folder(Path(str(output)))
        for written in export(model, folder, formats):
            print(written, flush=True)
        if "onnx" in formats:
            print(command_of(model, folder))


if __name__ == "__main__":
    fire.Fire(main)
