"""A bundle with weights and settings, ready to translate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigWorkflow

from benchmarks import options
from contract.bundle import Bundle
from importing.layers import CONFIG, Layers
from releasing.weights import Released, released_beside
from transmodal.checkpoints import UNCHANGED, match, read_checkpoint
from transmodal.errors import InputError
from transmodal.files import sha256_of
from transmodal.ways_to_weights import ways_to_weights
from verify import find_bundles

__all__ = ["RESERVED", "Model", "cause_of", "model_of"]

RESERVED = {
    "bundle_root": "--bundle",
    "ckpt_path": "--ckpt_path",
    "dataset_dir": "INPUT",
    "datalist": "INPUT",
    "section": "INPUT",
    "output_dir": "--output",
    "source": "--from",
    "target": "--to",
    "body_from": "--segmentation",
    "seed": "--seed",
    "num_samples": "--samples",
}
"""Ids of a bundle that the pipeline sets, and what sets them."""


@dataclass(frozen=True)
class Model:
    """A bundle with its weights and settings, ready to run its own inference.

    Args:
        layers: the bundle's inference config, overlays and ids over it.
        weights: file of the network's weights.
        limits: what is told of weights that come with the project, to show wherever they are used.
    """

    layers: Layers
    weights: Path
    limits: str = ""

    @property
    def bundle(self) -> Bundle:
        return self.layers.bundle

    @cached_property
    def weights_sha256(self) -> str:
        return sha256_of(self.weights)

    def has(self, key: str) -> bool:
        """Whether the config, with its overlays, has an id."""
        return key in self.layers.parser

    @cached_property
    def directions(self) -> list[tuple[str, str]]:
        """What is translated to what: between all ``domains`` of the config where it has them, or by the metadata."""
        if self.has("domains"):
            return list(permutations(map(str, self.layers.parser["domains"]), 2))
        listed = self.bundle.metadata.get("translation", {}).get("directions", [])
        return [(str(pair[0]), str(pair[1])) for pair in listed if len(pair) == 2]

    def offers(self, source: str, target: str) -> bool:
        """Whether this direction is among :attr:`directions`."""
        return (source, target) in self.directions

    def check(self) -> None:
        """See to it, before any case is begun, that the weights are those of the network and the device is there.

        Raises:
            InputError: if not.
        """
        device = self.layers.ids.get("device")
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:  # PyTorch built without a kind of device asserts
            raise InputError(
                f"--device {device}",
                found=str(error).strip().splitlines()[0],
                wanted="a device that is there",
                remedy="write --device cpu",
            ) from error
        with self.bundle.importable():
            network = replace(self.layers).build(self.layers.network_def, device="cpu")
        match(read_checkpoint(self.weights), network.state_dict(), UNCHANGED, where=self.weights)

    def identity(self) -> dict[str, Any]:
        """What tells it from any other, for JSON."""
        files = [self.bundle.root / CONFIG, *self.layers.overlays]
        return {
            "bundle": self.bundle.name,
            "version": str(self.bundle.metadata.get("version", "")),
            "weights": self.weights.name,
            "weights_sha256": self.weights_sha256,
            "configs": {path.name: sha256_of(path) for path in files},
            "ids": dict(self.layers.ids),
        }

    @contextmanager
    def opened(self, **ids: Any) -> Iterator[ConfigWorkflow]:
        """The bundle's own inference with these ids over it, initialized and not yet run; importable only meanwhile.

        Raises:
            InputError: whatever the bundle refuses, freed of what MONAI and ignite wrap around it.
        """
        try:
            with self.bundle.importable():
                workflow = ConfigWorkflow(
                    config_file=[str(self.bundle.root / CONFIG), *map(str, self.layers.overlays)],
                    workflow_type="infer",
                    logging_file=False,
                    **{
                        **self.layers.ids,
                        "bundle_root": str(self.bundle.root),
                        "ckpt_path": str(self.weights),
                        **{key: value for key, value in ids.items() if self.has(key)},
                    },
                )
                workflow.initialize()
                yield workflow
                workflow.finalize()
        except Exception as error:
            cause = cause_of(error)
            if cause is error:
                raise
            raise cause from error


def cause_of(error: Exception) -> Exception:
    """What really went wrong: MONAI and ignite re-raise around it."""
    cause: BaseException = error
    while not isinstance(cause, InputError) and isinstance(cause.__cause__, Exception):
        cause = cause.__cause__
    return cause if isinstance(cause, Exception) else error


def model_of(
    bundle: str | Path,
    overlays: Sequence[str | Path] = (),
    ckpt_path: str | Path | None = None,
    ids: Mapping[str, Any] | None = None,
) -> Model:
    """A bundle by its folder or name, with weights and settings.

    Args:
        bundle: folder, also a packed one that was unpacked, or name.
        overlays: configs over its inference.json, looked up here and then in the bundle.
        ckpt_path: weights; by default the bundle's own ``models/model.pt``, or else those that came with the project,
            with the overlays and ids that they need below the given ones.
        ids: single ids of its config.
    Raises:
        InputError: if there is no such bundle, overlay or id, or the weights are missing.
    """
    home = Bundle(find_bundles(str(bundle))[0])
    if not (home.root / CONFIG).is_file():
        raise InputError(home.root, found=f"no {CONFIG}", wanted="a bundle that infers", remedy="name another one")
    for key in ids or {}:
        if (name := key.partition("#")[0]) in RESERVED:
            raise InputError(
                f"--{key}",
                found="an id that the pipeline sets itself",
                wanted=f"{RESERVED[name]} in its place",
                remedy=f"leave --{key} out",
            )
    weights, came = _weights(home, ckpt_path)
    needed = [home.root / name for name in came.overlays] if came else []
    laid = [*needed, *(Path(options.file("config", str(path), home.root)).resolve() for path in overlays)]
    layers = Layers(home, tuple(dict.fromkeys(laid)), {**(came.values if came else {}), **(ids or {})})
    layers.check_ids()
    return Model(layers, weights, str(came.record["limits"]) if came else "")


def _weights(home: Bundle, ckpt_path: str | Path | None) -> tuple[Path, Released | None]:
    """The file of a bundle's weights, and what they need where they came with the project.

    Raises:
        InputError: if there are none.
    """
    if ckpt_path is not None:
        return Path(options.file("ckpt_path", str(ckpt_path), home.root)), None
    if home.weights.is_file():
        return home.weights, None
    if came := released_beside(home.root):
        return came.checked(), came
    raise InputError(
        home.weights,
        found="no such file",
        wanted=f"the weights of {home.name}",
        remedy=f"name them with --ckpt_path FILE; or in {home.root} {ways_to_weights(home.weights)}",
    )
