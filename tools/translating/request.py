"""What a command line of tools/translate.py asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import options

__all__ = ["Choice", "Request"]


@dataclass(frozen=True)
class Choice:
    """A bundle with what goes over it.

    Args:
        bundle: its name or folder.
        config: one or several configs over its inference.json.
        ckpt_path: weights in place of its own.
    """

    bundle: str | None = None
    config: str | Sequence[str] = ()
    ckpt_path: str | None = None

    @property
    def overlays(self) -> tuple[str, ...]:
        """The configs, of whose names fire may make numbers."""
        return tuple(map(str, options.listed(self.config)))


@dataclass(frozen=True)
class Request:
    """The options, each as it was given and unchecked.

    Args:
        input, output, to, seed, samples, classifier, series, force: as in the help of the program.
        translation: what translates.
        segmentation: what finds the body; its ``bundle`` may be ``automatic`` or ``none``.
        ids: of the bundle that translates, with ``from`` among them.
    """

    input: str
    output: str
    to: str | None = None
    seed: int | None = None
    samples: int | None = None
    classifier: str | None = None
    series: str | int | None = None
    force: bool = False
    translation: Choice = field(default_factory=Choice)
    segmentation: Choice = field(default_factory=lambda: Choice("automatic"))
    ids: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stated(self) -> Any:
        """The modality that every scan is said to be, by ``--from``, which is no name that Python takes."""
        return self.ids.get("from")

    @property
    def bundle_ids(self) -> dict[str, Any]:
        """The ids without ``from``."""
        return {key: value for key, value in self.ids.items() if key != "from"}

    @property
    def command(self) -> dict[str, Any]:
        """All that was given, by the names of the options, for the record."""
        given = {
            "input": self.input,
            "output": self.output,
            "to": self.to,
            "bundle": self.translation.bundle,
            "config": self.translation.config,
            "ckpt_path": self.translation.ckpt_path,
            "seed": self.seed,
            "samples": self.samples,
            "classifier": self.classifier,
            "segmentation": self.segmentation.bundle,
            "segmentation_config": self.segmentation.config,
            "segmentation_ckpt": self.segmentation.ckpt_path,
            "series": self.series,
            "force": self.force,
            **self.ids,
        }
        return {key: value for key, value in given.items() if value not in (None, ())}
