"""The bundle among the models of a package, and the ids that set its direction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from dicom_translation.settings import Settings
from transmodal.errors import InputError
from transmodal.files import sha256_of

__all__ = ["PackedBundle", "bundle_in"]

METADATA, INFERENCE, WEIGHTS = "configs/metadata.json", "configs/inference.json", "models/model.pt"
TORCHSCRIPT = "models/model.ts"

RESERVED = {
    "source": "translation: source",
    "target": "translation: target",
    "body_from": "the series itself",
    **dict.fromkeys(("bundle_root", "ckpt_path"), "-m"),
    **dict.fromkeys(("dataset_dir", "datalist", "section"), "-i"),
    "output_dir": "-o",
    **dict.fromkeys(("imports", "initialize", "run", "finalize", "handlers"), "the bundle"),
}
"""Ids of a bundle that the application or the bundle sets, and what sets them."""


@dataclass(frozen=True)
class PackedBundle:
    """The unpacked folder of a bundle.

    Args:
        root: the folder.
    """

    root: Path

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def weights(self) -> Path:
        return self.root / WEIGHTS

    @cached_property
    def metadata(self) -> dict[str, Any]:
        return self._read(METADATA)

    @cached_property
    def config(self) -> dict[str, Any]:
        return self._read(INFERENCE)

    def told(self) -> dict[str, str]:
        """What tells it from any other, for the header of each file."""
        return {
            "bundle": f"{self.name} {self.metadata.get('version', '')}".strip(),
            "weights_sha256": sha256_of(self.weights),
        }

    def ids(self, settings: Settings) -> dict[str, Any]:
        """What is laid over its inference.json: the direction, its own folder, and what the manifest sets.

        Raises:
            InputError: if it does not translate so, or has no such id.
        """
        self._check_direction(settings.source, settings.target)
        for key in settings.ids:
            self._check_id(key)
        _check_device(settings.ids.get("device"))
        direction = {"source": settings.source, "target": settings.target, "bundle_root": str(self.root)}
        return {**{key: value for key, value in direction.items() if key in self.config}, **settings.ids}

    def _check_id(self, key: str) -> None:
        """Refuse an id that is not there, that is set elsewhere, or that is no plain setting but made of others."""
        plain = [each for each, value in self.config.items() if each not in RESERVED and _is_plain(each, value)]
        if key in plain:
            return
        name = key.partition("#")[0]
        found, wanted = f"no id {key}", "ids of this config under translation: ids of the manifest"
        if name in self.config:
            found = f"translation: ids: {key} in the manifest, which {RESERVED.get(name, 'the bundle')} sets"
        raise InputError(self.root / INFERENCE, found=found, wanted=wanted, remedy=f"take one of {', '.join(plain)}")

    def _check_direction(self, source: str, target: str) -> None:
        listed = [tuple(pair) for pair in self.metadata.get("translation", {}).get("directions", [])]
        domains = self.config.get("domains")
        among = isinstance(domains, list) and {source, target} <= {*domains} and source != target
        if not among and (source, target) not in listed:
            offered = ", ".join(" to ".join(pair) for pair in listed) or "a bundle whose metadata name directions"
            raise InputError(
                self.root,
                found=f"no translation of {source} to {target}",
                wanted=offered,
                remedy="set source and target of the manifest to what the bundle translates, or take another bundle",
            )

    def _read(self, name: str) -> dict[str, Any]:
        try:
            return dict(json.loads((self.root / name).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                self.root / name,
                found=f"no JSON that can be read ({type(error).__name__})",
                wanted="the config of a bundle",
                remedy="unpack the bundle's zip again",
            ) from error


def _is_plain(key: str, value: Any) -> bool:
    """Whether an id holds a value, and not what is made of other ids."""
    text = json.dumps(value)
    return not key.startswith("_") and not isinstance(value, dict) and "@" not in text and "_target_" not in text


def _check_device(device: Any) -> None:
    """Refuse a device that is not there, before any case is read."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:  # PyTorch built without a kind of device asserts
        raise InputError(
            f"translation: ids: device: {device}",
            found=str(error).strip().splitlines()[0],
            wanted="a device that is there",
            remedy="write device: cpu, or leave it out",
        ) from error


def bundle_in(models: str | Path, name: str | None = None) -> PackedBundle:
    """The bundle of a folder of models.

    Args:
        models: folder of a bundle, or of bundles.
        name: of the bundle, needed where there are several.
    Raises:
        InputError: if there is none, not exactly one, or it cannot be loaded.
    """
    models = Path(models).absolute()
    own = {models.name: models} if (models / METADATA).is_file() else {}
    found: Mapping[str, Path] = own or {path.parents[1].name: path.parents[1] for path in models.glob(f"*/{METADATA}")}
    chosen = [root for each, root in sorted(found.items()) if name in (None, each)]
    if len(chosen) != 1:
        raise InputError(
            models,
            found=f"{len(found)} bundles ({', '.join(sorted(found))})" if found else "no bundle",
            wanted=f"the unpacked bundle {name}" if name else "one unpacked bundle",
            remedy="unpack a zip of tools/pack.py there; name one of several under translation: bundle of the manifest",
        )
    bundle = PackedBundle(chosen[0])
    if not bundle.weights.is_file():
        raise InputError(
            bundle.weights,
            found="no such file",
            wanted=f"the weights of {bundle.name}",
            remedy="pack the bundle with its weights (tools/pack.py --weights FILE)",
        )
    if (bundle.root / TORCHSCRIPT).exists():
        raise InputError(
            bundle.root / TORCHSCRIPT,
            found="a TorchScript file, which MONAI Deploy would take in place of the weights",
            wanted=f"{WEIGHTS} alone",
            remedy="remove it",
        )
    return bundle
