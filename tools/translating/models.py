"""Which bundle translates, with which weights and settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import permutations
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigWorkflow

from benchmarks import options
from contract.bundle import Bundle
from importing.layers import CONFIG, Layers
from transmodal.checkpoints import MAKE_WEIGHTS, UNCHANGED, match, read_checkpoint
from transmodal.data.layout import MAGNETIC
from transmodal.errors import InputError
from transmodal.files import sha256_of
from verify import ROOT, find_bundles

__all__ = ["PREFERRED", "RESERVED", "Model", "Models", "cause_of", "model_of"]

PREFERRED = ("ct_mr_syndiff_translation", "ct_mr_cyclegan_translation", "ct_mr_stargan_translation")
"""The first of these that has weights and offers a direction is taken where no bundle is named."""

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
    """

    layers: Layers
    weights: Path

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
        ckpt_path: weights; by default the bundle's own ``models/model.pt``.
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
    laid = tuple(Path(options.file("config", str(path), home.root)) for path in overlays)
    layers = Layers(home, laid, dict(ids or {}))
    layers.check_ids()
    weights = home.weights if ckpt_path is None else Path(options.file("ckpt_path", str(ckpt_path), home.root))
    if not weights.is_file():
        raise InputError(
            weights,
            found="no such file",
            wanted=f"the weights of {home.name}",
            remedy=f"name them with --ckpt_path FILE; or in {home.root} {MAKE_WEIGHTS}",
        )
    return Model(layers, weights)


def _check_grid(model: Model) -> None:
    """Refuse a bundle whose output does not lie on the grid of a scan."""
    if any(source == "xray" for source, _ in model.directions):
        raise InputError(
            f"--bundle {model.bundle.name}",
            found="a bundle that makes volumes of radiographs",
            wanted="one that translates CT or MR, on the grid of each scan",
            remedy=f"run it by itself: cd {model.bundle.root}; python3 -m monai.bundle run "
            f"--config_file {CONFIG} --dataset_dir INPUT --output_dir OUTPUT",
        )


@dataclass(frozen=True)
class Models:
    """What a run may translate with: one bundle, or the first that offers a direction.

    Args:
        candidates: in the order of preference.
    """

    candidates: Sequence[Model] = field(default=())

    @classmethod
    def chosen(
        cls,
        bundle: str | None = None,
        overlays: Sequence[str | Path] = (),
        ckpt_path: str | None = None,
        ids: Mapping[str, Any] | None = None,
    ) -> Models:
        """The bundle that is named, or all of :data:`PREFERRED` that have weights; arguments as :func:`model_of`.

        Raises:
            InputError: as :func:`model_of`; if weights or settings come without their bundle; none has weights; or the
                bundle makes volumes of radiographs.
        """
        if bundle is not None:
            model = model_of(bundle, overlays, ckpt_path, ids)
            _check_grid(model)
            return cls([model])
        given = (
            ["--config"] * bool(overlays) + ["--ckpt_path"] * (ckpt_path is not None) + [f"--{i}" for i in ids or {}]
        )
        if given:
            raise InputError(
                ", ".join(given),
                found="no --bundle that it belongs to, or an unknown option",
                wanted="options of --help; ids, configs and weights only together with their bundle",
                remedy=f"add --bundle {PREFERRED[1]}, or the one that is meant",
            )
        homes = [ROOT / "bundles" / name for name in PREFERRED]
        ready = [home for home in homes if Bundle(home).weights.is_file()]
        if not ready:
            raise InputError(
                ", ".join(PREFERRED),
                found="no models/model.pt in any of them",
                wanted="one bundle with weights",
                remedy=f"in the folder of one, {MAKE_WEIGHTS}; or name weights with --bundle NAME --ckpt_path FILE",
            )
        return cls([model_of(home) for home in ready])

    @property
    def modalities(self) -> tuple[str, ...]:
        """All that is translated, or translated to."""
        found = (name for model in self.candidates for pair in model.directions for name in pair)
        return tuple(dict.fromkeys(("ct", "mr", *found)))

    def target(self, stated: str | None, target: str | None) -> str | None:
        """The modality to translate all scans to; None where it is CT of MR and MR of CT.

        Args:
            stated: what every scan is said to be.
            target: what is asked for.
        Raises:
            InputError: if no scan could be translated so.
        """
        opposite = {"ct": "mr", **dict.fromkeys(MAGNETIC, "ct")}
        pairs = [(source, target or opposite[source]) for source in ([stated] if stated else ["ct", "mr"])]
        nothing_to_do = stated is not None and stated == target  # which is told of each scan
        if not nothing_to_do and not any(model.offers(*pair) for model in self.candidates for pair in pairs):
            offered = [f"{a} to {b}" for model in self.candidates for a, b in model.directions]
            raise InputError(
                ", ".join(f"{source} to {goal}" for source, goal in pairs if source != goal),
                found=f"no such direction in {', '.join(model.bundle.name for model in self.candidates)}",
                wanted=", ".join(dict.fromkeys(offered)) or "a bundle whose metadata name directions",
                remedy="choose one of them with --from and --to, or another --bundle",
            )
        return pairs[0][1] if stated else target

    def offering(self, source: str, target: str) -> Model:
        """The first that translates so.

        Raises:
            InputError: if none does.
        """
        for model in self.candidates:
            if model.offers(source, target):
                return model
        raise InputError(
            f"{source} to {target}",
            found=f"no such direction in {', '.join(model.bundle.name for model in self.candidates)}",
            wanted="a bundle whose metadata offer it",
            remedy=f"name one with --bundle, such as {PREFERRED[0]}, and give it weights",
        )
