"""Parts of a network as ONNX graphs: found beside its weights, run by ONNX Runtime in the place of the modules.

A part is a child module, or a method of one, by its dotted name, such as ``generator`` or ``first.predict``. Samplers,
scales and whatever else a network does between its parts stays in PyTorch, so that inferers need not know.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from transmodal.checkpoints import load_weights
from transmodal.errors import InputError
from transmodal.files import sha256_of

__all__ = ["CPU", "KEYS", "OnnxPart", "in_place", "part_of", "replaced", "with_onnx"]

CPU: tuple[Any, ...] = ("CPUExecutionProvider",)
KEYS = {"part": "transmodal.part", "weights": "transmodal.weights_sha256", "multiple": "transmodal.size_multiple"}
"""What a file says of itself, to the names of its metadata."""

EXPORT = "make it with `.venv/bin/python tools/export.py BUNDLE`, with the config and the weights of this run"
TYPES = {"tensor(float)": torch.float32, "tensor(int64)": torch.int64, "tensor(bool)": torch.bool}
"""Of inputs, as ONNX Runtime and as PyTorch call them."""


class OnnxPart(nn.Module):
    """One ONNX graph that is called as the module that it was exported from.

    Images go in as they come: a batch of any size, and sizes that the graph takes. Numbers are those of the graph, as a
    rule float32, whatever autocast says. The result lies on the device of the first input.

    Args:
        path: file that ``tools/export.py`` wrote.
        providers: of ONNX Runtime in the order of preference, each a name, or a list of a name and its options. All
            have to be there: ONNX Runtime itself would fall back to the CPU in silence.
    Raises:
        InputError: if ONNX Runtime, a provider or the file is missing, or the file is no such graph.
    """

    def __init__(self, path: str | Path, providers: Sequence[Any] = CPU) -> None:
        super().__init__()
        self.path = Path(path)
        self.session = _session(self.path, providers)
        self.inputs = {each.name: (each.type, list(each.shape)) for each in self.session.get_inputs()}
        if strange := {kind for kind, _ in self.inputs.values()} - TYPES.keys():
            raise self._mismatch(f"inputs of type {', '.join(sorted(strange))}", ", ".join(TYPES))
        self.metadata: Mapping[str, str] = self.session.get_modelmeta().custom_metadata_map
        self.multiple = int(self.metadata.get(KEYS["multiple"], "1"))
        # inferers ask parameters where a network computes
        self.anchor = nn.Parameter(torch.empty(0), requires_grad=False)

    def forward(self, *args: Any) -> Any:
        """What the module would return, as a tensor or as a tuple of them.

        Args:
            args: tensors, and tuples of tensors, in the order of the module. A mask that is None selects nothing.
        Raises:
            InputError: if there are more or fewer, or they are of another type or shape than the graph takes.
        """
        given = _pytree.tree_leaves(args)
        if len(given) != len(self.inputs):
            raise self._mismatch(f"{len(given)} inputs", f"{len(self.inputs)}: {', '.join(self.inputs)}")
        sizes: dict[str, int] = {}
        for (name, (kind, shape)), value in zip(self.inputs.items(), given, strict=True):
            if value is not None:
                self._check(name, value, shape, sizes)
            elif TYPES[kind] != torch.bool:
                raise self._mismatch(f"no {name}", "all inputs but masks")
        first = next(value for value in given if value is not None)
        feeds = {
            name: self._filled(name, value, kind, shape, sizes)
            for (name, (kind, shape)), value in zip(self.inputs.items(), given, strict=True)
        }
        try:
            found = self.session.run(None, feeds)
        except Exception as error:  # of what a graph cannot compute ONNX Runtime may say anything
            shapes = ", ".join(f"{name} {list(value.shape)}" for name, value in feeds.items())
            reason = str(error).strip().splitlines()[0]
            raise self._mismatch(f"a graph that cannot compute {shapes} ({reason})", "larger images") from error
        outputs = [torch.from_numpy(output).to(first.device) for output in found]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def extra_repr(self) -> str:
        """File and inputs, for the printed network."""
        return f"{self.path.name}, {', '.join(self.inputs)}"

    def _check(self, name: str, value: Tensor, shape: list[Any], sizes: dict[str, int]) -> None:
        """Refuse a shape that the graph does not take; ``sizes`` learns what its named sizes are."""
        found = list(value.shape)
        fits = len(found) == len(shape) and all(
            size == (wanted if isinstance(wanted, int) else sizes.setdefault(wanted, size))
            for size, wanted in zip(found, shape, strict=True)
        )
        if not fits:
            raise self._mismatch(f"{name} of shape {found}", f"{shape} with {sizes}")
        free = [size for size, wanted in zip(found[2:], shape[2:], strict=True) if not isinstance(wanted, int)]
        if len(found) > 3 and any(size % self.multiple for size in free):
            raise self._mismatch(f"{name} of shape {found}", f"sizes that are multiples of {self.multiple}")

    def _filled(self, name: str, value: Tensor | None, kind: str, shape: list[Any], sizes: Mapping[str, int]) -> Any:
        """The array that the graph gets for one input."""
        wanted = TYPES[kind]
        if value is None:
            return torch.zeros([sizes.get(size, size) for size in shape], dtype=wanted).numpy()
        if _kind(value.dtype) != _kind(wanted):
            raise self._mismatch(f"{name} of type {value.dtype}", str(wanted))
        return value.detach().as_subclass(Tensor).to("cpu", wanted).contiguous().numpy()

    def _mismatch(self, found: str, wanted: str) -> InputError:
        return InputError(
            self.path,
            found=found,
            wanted=wanted,
            remedy="export the network anew, with the config of this run; sizes are chosen by `patch` and `multiple`",
        )


def replaced(
    network: nn.Module, path: str | Path, command: str | None = None, **by: Callable[[nn.Module], nn.Module]
) -> nn.Module:
    """The network of an evaluator as the one config makes it that has another use for it than to load its weights.

    Such configs are merged into the call of :func:`~transmodal.checkpoints.load_weights` that is there, each under its
    own name. So they notice each other in any order, and whatever else is laid between or after them.

    Args:
        network, path, command: of that call; ``command`` trains one stage of the network, as configs of a stage tell.
        by: name of each config to what it makes of the network.
    Raises:
        InputError: if there are several, or a config of a stage; nothing is loaded then.
    """
    names = [*(f"{name}.json" for name in by), *(["a config that runs one stage of the network"] if command else [])]
    if len(names) != 1:
        raise InputError(
            "--config_file",
            found=f"{' and '.join(names)}, which would replace each other's network",
            wanted="one config that replaces the network of inference.json",
            remedy=f"leave one of them out; others, such as evaluate.json, go with {names[0]} in any order",
        )
    (make,) = by.values()
    return make(network)


def with_onnx(
    network: nn.Module,
    parts: Sequence[str],
    folder: str | Path,
    weights: str | Path,
    providers: Sequence[Any] = CPU,
) -> nn.Module:
    """Load the weights of a network and put ONNX graphs in the places of parts of it.

    Args:
        network: changed in place.
        parts: dotted names.
        folder: that holds ``<part>.onnx`` for each of them.
        weights: file of the network's weights, from which the graphs have to be.
        providers: as for :class:`OnnxPart`.
    Returns:
        The network.
    Raises:
        InputError: as :class:`OnnxPart` and :func:`~transmodal.checkpoints.load_weights`; or if a graph is of another
            part or of other weights.
    """
    load_weights(network, weights)
    digest = sha256_of(weights)
    for name in parts:
        part_of(network, name)
        graph = OnnxPart(Path(folder) / f"{name}.onnx", providers)
        for key, wanted in (("part", name), ("weights", digest)):
            if (found := graph.metadata.get(KEYS[key])) != wanted:
                raise InputError(
                    graph.path,
                    found=f"the {key} {found}",
                    wanted=f"{wanted}{f', the sha256 of {weights}' if key == 'weights' else ''}",
                    remedy=f"the graph is of another training; {EXPORT}",
                )
        device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
        in_place(network, name, graph.to(device))
    return network


def part_of(network: nn.Module, name: str) -> Any:
    """The module or method that is meant by a dotted name.

    Raises:
        InputError: if the network has none.
    """
    found: Any = network
    for step in name.split("."):
        found = getattr(found, step, None)
    if not callable(found):
        raise InputError(
            f"the part '{name}'",
            found=f"a {type(network).__name__} without it",
            wanted="the dotted name of a child module, or of a method of one",
            remedy="correct `onnx_parts`; a changed network may have other parts",
        )
    return found


def in_place(network: nn.Module, name: str, part: Any) -> None:
    """Put a callable in the place of a child module or of a method; a module becomes a child where there was one."""
    path, _, leaf = name.rpartition(".")
    owner = network.get_submodule(path)
    if isinstance(part, nn.Module) and leaf in owner._modules:
        setattr(owner, leaf, part)
    else:  # what an instance has itself goes before what its class has, and is no child
        owner.__dict__[leaf] = part


def _kind(dtype: torch.dtype) -> str:
    return "mask" if dtype == torch.bool else "number" if dtype.is_floating_point else "index"


def _names(providers: Sequence[Any]) -> list[str]:
    """The names of providers.

    Raises:
        InputError: if they are no list of names, or of lists of a name and its options.
    """
    listed = providers if isinstance(providers, list | tuple) else ()
    pairs = [[each, {}] if isinstance(each, str) else each for each in listed]
    fine = [
        isinstance(each, list | tuple) and len(each) == 2 and isinstance(each[0], str) and isinstance(each[1], Mapping)
        for each in pairs
    ]
    if not pairs or not all(fine):
        raise InputError(
            "providers",
            found=repr(providers),
            wanted="a list of names, or of lists of a name and its options",
            remedy=f'write --providers "{[*CPU]}"',
        )
    return [str(each[0]) for each in pairs]


def _session(path: Path, providers: Sequence[Any]) -> Any:
    """An ONNX Runtime session with as many threads as PyTorch has.

    Raises:
        InputError: as :class:`OnnxPart`.
    """
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise InputError(
            "onnxruntime",
            found="no such package",
            wanted="ONNX Runtime",
            remedy="install the requirements of this project, or `pip install onnxruntime`",
        ) from error
    if not path.is_file():
        raise InputError(path, found="no such file", wanted="an exported part of the network", remedy=EXPORT)
    names = _names(providers)
    if missing := [name for name in names if name not in runtime.get_available_providers()]:
        raise InputError(
            "providers",
            found=f"an ONNX Runtime without {', '.join(missing)}",
            wanted=f"one of {', '.join(runtime.get_available_providers())}",
            remedy="on a GPU install onnxruntime-gpu in place of onnxruntime, and TensorRT for its provider",
        )
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    options.log_severity_level = 3
    chosen = [each if isinstance(each, str) else tuple(each) for each in providers]
    try:
        return runtime.InferenceSession(str(path), options, providers=chosen)
    except Exception as error:  # of a damaged file ONNX Runtime may say anything
        raise InputError(
            path, found=f"no graph that ONNX Runtime reads ({str(error).splitlines()[0]})", wanted="one", remedy=EXPORT
        ) from error
