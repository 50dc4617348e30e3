"""Which bundle translates, with which weights and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.bundle import Bundle
from importing.layers import CONFIG
from releasing.weights import released_beside
from translating.model import Model, model_of
from transmodal.data.layout import MAGNETIC
from transmodal.errors import InputError
from transmodal.ways_to_weights import ways_to_weights
from verify import ROOT

__all__ = ["OPPOSITE", "PREFERRED", "Models"]

OPPOSITE = {"ct": "mr", **dict.fromkeys(MAGNETIC, "ct")}
"""What a modality is translated to where nothing is asked for."""

PREFERRED = ("ct_mr_syndiff_translation", "ct_mr_cyclegan_translation", "ct_mr_stargan_translation")
"""The first of these that has weights and offers a direction is taken where no bundle is named, own ones first."""


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
        own = [home for home in homes if Bundle(home).weights.is_file()]
        ready = [*own, *(home for home in homes if home not in own and released_beside(home))]
        if not ready:
            raise InputError(
                ", ".join(PREFERRED),
                found="no models/model.pt in any of them",
                wanted="one bundle with weights",
                remedy=f"in the folder of one, {ways_to_weights(Bundle(homes[0]).weights)}; or name weights with "
                "--bundle NAME --ckpt_path FILE",
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
        pairs = [(source, target or OPPOSITE[source]) for source in ([stated] if stated else ["ct", "mr"])]
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
