"""Files of low-rank adapters: safetensors of ours, and the nameless lists ``lora-*.pt`` of the published code."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from transmodal.checkpoints import read_safely
from transmodal.errors import InputError
from transmodal.files import write_atomically
from xray2ctpa_bundle.published_names import adapted_layers

KIND = "adapters of a denoiser of X-ray2CTPA"
FIRST = "stem_attention.attention.query_key_value"
"""The first layer that the published code adapts."""


@dataclass(frozen=True)
class Adapters:
    """Adapters of the layers of a denoiser.

    Args:
        pairs: name of a layer in the denoiser to its ``up``, (out, rank), and ``down``, (rank, in).
        scale: of their products.
    """

    pairs: Mapping[str, tuple[Tensor, Tensor]]
    scale: float = 1.0

    @property
    def rank(self) -> int:
        """Of each of them."""
        return len(next(iter(self.pairs.values()))[1])


def read_adapters(path: str | Path, denoiser: nn.Module, layers: Mapping[str, nn.Linear]) -> Adapters:
    """Read adapters.

    Args:
        path: ``*.safetensors`` of :func:`write_adapters`, or a published ``lora-*.pt``, a list of up, down, up, down in
            the order of the published layers, in float32 or float16, which does not tell what weights it is of.
        denoiser: with the weights that the adapters were trained on.
        layers: what is adapted, by name in the denoiser.
    Returns:
        Of exactly these layers, float32 tensors on the CPU.
    Raises:
        InputError: if the file is missing, is none of both, or is of other layers, shapes or weights.
    """
    path = Path(path)
    ours = path.suffix == ".safetensors"
    adapters = _safetensors(path, denoiser, layers) if ours else _published_list(path, layers)
    _check_values(adapters, layers, path)
    return adapters


def write_adapters(adapters: Adapters, denoiser: nn.Module, path: str | Path) -> None:
    """Write safetensors whose metadata say rank, scale, and which weights these are the adapters of.

    Args:
        adapters: of layers of ``denoiser``.
        denoiser: that they were trained with, whole.
        path: the file; it appears whole or not at all.
    """
    tensors = dict[str, Tensor]()
    for name, (up, down) in adapters.pairs.items():
        tensors |= {f"{name}.up": up.cpu().contiguous(), f"{name}.down": down.cpu().contiguous()}
    metadata = {
        "kind": KIND,
        "rank": str(adapters.rank),
        "scale": repr(float(adapters.scale)),
        "of": fingerprint(denoiser, adapters.pairs),
    }
    write_atomically(Path(path), lambda partial: save_file(tensors, partial, metadata))


def fingerprint(denoiser: nn.Module, adapted: Iterable[str] = ()) -> str:
    """Tell the weights of denoisers apart: the first 16 digits of the SHA-256 of names and float32 values.

    Args:
        denoiser: all of whose weights count, but for adapters.
        adapted: names of layers whose adapters, if there are any, are left out.
    """
    digest, left_out = hashlib.sha256(), {f"{name}.{side}" for name in adapted for side in ("up", "down")}
    for name, value in sorted(denoiser.state_dict().items()):
        if name not in left_out:
            digest.update(name.encode())
            digest.update(value.detach().to("cpu", torch.float32).contiguous().numpy())
    return digest.hexdigest()[:16]


def _safetensors(path: Path, denoiser: nn.Module, layers: Mapping[str, nn.Linear]) -> Adapters:
    if not path.is_file():
        raise _not_adapters(path, "no such file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise _not_adapters(path, f"a file that safetensors cannot read ({error})") from error
    names = {key.rpartition(".")[0] for key in tensors}
    if metadata.get("kind") != KIND or set(tensors) != {f"{name}.{side}" for name in names for side in ("up", "down")}:
        raise _not_adapters(path, f"tensors such as {', '.join(sorted(tensors)[:3])}")
    if names != set(layers):
        raise _other_layers(path, len(names), len(layers))
    if metadata.get("of") != fingerprint(denoiser, layers):
        raise InputError(
            path,
            found="adapters of other weights than those of the denoiser",
            wanted="the weights that they were trained on",
            remedy="load those weights first, and nothing that was merged or trained since",
        )
    return Adapters(
        {name: (tensors[f"{name}.up"], tensors[f"{name}.down"]) for name in layers}, float(metadata["scale"])
    )


def _published_list(path: Path, layers: Mapping[str, nn.Linear]) -> Adapters:
    content = read_safely(path)
    if not isinstance(content, list) or not all(isinstance(item, Tensor) and item.ndim == 2 for item in content):
        raise _not_adapters(path, "no list of matrices")
    prefixes = [name.removesuffix(FIRST) for name in layers if name.endswith(FIRST)]
    prefix = prefixes[0] if prefixes else ""
    levels = sum(re.fullmatch(rf"{prefix}down\.\d+\.block1\.context_projection", name) is not None for name in layers)
    names = [f"{prefix}{layer}" for layer in adapted_layers(levels)]
    if set(names) != set(layers) or len(content) != 2 * len(names):
        raise _other_layers(path, len(content) // 2, len(layers))
    values = [item.detach().float() for item in content]
    return Adapters(dict(zip(names, zip(values[::2], values[1::2], strict=True), strict=True)))


def _check_values(adapters: Adapters, layers: Mapping[str, nn.Linear], path: Path) -> None:
    for name, (up, down) in adapters.pairs.items():
        wanted = ((layers[name].out_features, adapters.rank), (adapters.rank, layers[name].in_features))
        if (tuple(up.shape), tuple(down.shape)) != wanted:
            raise InputError(
                path,
                found=f"up {tuple(up.shape)} and down {tuple(down.shape)} for '{name}'",
                wanted=f"{wanted[0]} and {wanted[1]}",
                remedy="give the adapters of a denoiser with these widths; nothing was loaded",
            )
        if not bool(torch.isfinite(up).all() and torch.isfinite(down).all()):
            raise _not_adapters(path, f"values for '{name}' that are not finite")


def _other_layers(path: Path, found: int, wanted: int) -> InputError:
    return InputError(
        path,
        found=f"adapters of {found} layers that are not those of the denoiser",
        wanted=f"one for each of its {wanted} layers that are adapted",
        remedy="set the denoiser as the one that they were trained with; a published list fits the published denoiser "
        "of as many levels alone",
    )


def _not_adapters(path: Path, found: str) -> InputError:
    return InputError(
        path,
        found=found,
        wanted="adapters as `xray2ctpa_bundle.lora.save_adapters` writes them, or a published `lora-*.pt`",
        remedy="check the path, or train adapters anew",
    )
