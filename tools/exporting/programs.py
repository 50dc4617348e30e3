"""Parts of a network as programs of torch.export, as ONNX graphs, and whole networks in TorchScript."""

from __future__ import annotations

import json
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.utils import _pytree

from exporting.examples import Example, size_multiple
from transmodal.errors import InputError
from transmodal.exported import KEYS, part_of
from transmodal.files import write_atomically

__all__ = ["Flat", "flat", "program_of", "write_graph", "write_program", "write_script"]

AXES = {1: ("batch",), 2: ("batch", "row"), 4: ("batch", "row", "height", "width")}
AXES |= {3: ("batch", "row", "column"), 5: ("batch", "row", "depth", "height", "width")}
"""Names of the axes of a tensor, by their number."""


class Flat(nn.Module):
    """A part of a network that takes tensors one after another, and returns one, or a tuple of them.

    Args:
        network: that the part is of.
        name: dotted, of a module or of a method.
        args: as the part takes them, for the tuples among them.
    """

    def __init__(self, network: nn.Module, name: str, args: tuple[Any, ...]) -> None:
        super().__init__()
        part = part_of(network, name)
        self.owner = part if isinstance(part, nn.Module) else part.__self__
        self.method = "forward" if isinstance(part, nn.Module) else part.__name__
        self.structure = _pytree.tree_structure(args)

    def forward(self, *tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
        args = _pytree.tree_unflatten(tensors, self.structure)
        answer = _pytree.tree_leaves(getattr(self.owner, self.method)(*args))
        return answer[0] if len(answer) == 1 else tuple(answer)


def flat(args: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """The tensors among arguments, in order."""
    return tuple(_pytree.tree_leaves(args))


def program_of(network: nn.Module, name: str, example: Example) -> ExportedProgram:
    """One part as a program; sizes that differ between the two calls of the example are left open.

    Raises:
        InputError: if PyTorch cannot export the part, or not leave one of the sizes open.
    """
    module = Flat(network, name, example.first).eval()
    first, second = flat(example.first), flat(example.second)
    shapes = tuple(
        {axis: Dim.DYNAMIC for axis, (size, other) in enumerate(zip(a.shape, b.shape, strict=True)) if size != other}
        for a, b in zip(first, second, strict=True)
    )
    with torch.no_grad(), _quiet():
        try:
            return torch.export.export(module, first, dynamic_shapes=(shapes,))
        except Exception as error:  # of a network that it cannot take, PyTorch may say anything
            raise InputError(
                f"the part '{name}'",
                found=f"what torch.export cannot take ({str(error).strip().splitlines()[0]})",
                wanted="a network whose batch and sizes can stay open",
                remedy="run this bundle by PyTorch, or name other parts in `onnx_parts`",
            ) from error


def write_program(program: ExportedProgram, path: Path) -> None:
    """Write ``<part>.pt2``, which ``torch.export.load(path).module()`` runs without the code of the network."""
    with _quiet():
        write_atomically(path, lambda partial: torch.export.save(program, partial))


def write_graph(
    program: ExportedProgram, network: nn.Module, name: str, names: tuple[str, ...], path: Path, sha256: str
) -> None:
    """Write ``<part>.onnx``, with the part, the weights and the sizes it takes in its metadata.

    Args:
        program: of the part.
        network, name: that it is of.
        names: of its inputs.
        path: the file.
        sha256: of the file of the weights.
    """
    with _quiet():
        exported = torch.onnx.export(program, (), dynamo=True, input_names=list(names), verbose=False)
    model = exported.model_proto
    _rename_axes(model)
    owner = part_of(network, name)
    multiple = size_multiple(owner if isinstance(owner, nn.Module) else owner.__self__)
    told = {KEYS["part"]: name, KEYS["weights"]: sha256, KEYS["multiple"]: str(multiple)}
    onnx.helper.set_model_props(model, told)
    onnx.checker.check_model(model)
    write_atomically(path, lambda partial: onnx.save(model, partial))


def write_script(network: nn.Module, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write the whole network in TorchScript, and the bundle's metadata for ``load_net_with_metadata``.

    Raises:
        Exception: whatever TorchScript cannot do with the network.
    """
    with _quiet():
        script = torch.jit.script(network.eval())
        extra = {"metadata.json": json.dumps(metadata)}
        write_atomically(path, lambda partial: torch.jit.save(script, str(partial), _extra_files=extra))


def _rename_axes(model: onnx.ModelProto) -> None:
    """Give the open sizes of inputs names that tell what they are, wherever they occur."""
    names: dict[str, str] = {}
    for value in model.graph.input:
        axes = value.type.tensor_type.shape.dim
        for number, axis in enumerate(axes):
            if axis.dim_param and axis.dim_param not in names:
                name = AXES[len(axes)][number]
                names[axis.dim_param] = name if name not in names.values() else f"{name}_{value.name}"
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b") if names else None
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param and pattern:
                axis.dim_param = pattern.sub(lambda found: names[found[0]], axis.dim_param)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep remarks of the exporters, such as of torchvision's absence, out of the report; errors still come."""
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
