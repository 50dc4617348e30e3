"""What a row of tiny overrides says of a bundle: its sizes, its directions, its stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Direction:
    """One way in which a bundle translates.

    Args:
        sources: modalities it needs; it writes on the grid of the first one, unless the bundle has a grid of its own.
        target: modality it makes.
        ids: what chooses this direction in inference and evaluation.
    """

    sources: tuple[str, ...]
    target: str
    ids: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{'+'.join(self.sources)}_to_{self.target}"


@dataclass(frozen=True)
class Stage:
    """A config that runs before train.json and makes what later ones read.

    Args:
        config: its name.
        makes: the id by which the others find what it makes: a file of weights, or a folder of images by case.
        ids: what differs from the last training, so that an epoch has two iterations.
        reads: modality of the images it reads first, where those are not the ones that are translated.
    """

    config: str
    makes: str
    ids: Mapping[str, Any] = field(default_factory=dict)
    reads: str | None = None

    @property
    def trains(self) -> bool:
        return self.config.startswith("train")


@dataclass(frozen=True)
class Tiny:
    """How a bundle becomes small enough to train in a second.

    Args:
        network: ids that shape the network or its input, the same in training and inference.
        training: further ids of the training; one case of ``phantoms`` must be an epoch of two iterations.
        directions: what it translates; none for a bundle that writes no image.
        phantoms: arguments of ``write_phantoms`` for its data, two cases, of which one trains and one validates.
        unknown: ids that ask for a modality that does not exist.
        comparable: ids without which several processes could not be compared with one: an optimizer that is linear in
            the gradient, no image pools, a learning rate so small that rounding stays rounding.
        slices: whether it also translates a single slice.
        deviation: whether it writes a map of its uncertainty beside every image.
        unbeatable: a value of the validation metric that no training reaches.
        before: stages that run before train.json, in this order.
        reads: of train.json, the id of the folder and the modality of the images that it starts from.
        grid: voxels along i, j and k of every image it writes, where these do not lie on the source's grid.
        replaced: whether the target takes the place of a source that is missing, where both are known.
        beside: files it writes beside the folders of the cases.
        unmoved: weights that two iterations need not move, because what trains them is drawn by chance.
        cases: how many phantoms there are.
        scriptable: whether the network can be written in TorchScript.
    """

    network: Mapping[str, Any]
    training: Mapping[str, Any]
    directions: tuple[Direction, ...]
    phantoms: Mapping[str, Any]
    unknown: Mapping[str, Any]
    comparable: Mapping[str, Any]
    slices: bool = True
    deviation: bool = False
    unbeatable: float = -1.0
    before: tuple[Stage, ...] = ()
    reads: tuple[str, str] | None = None
    grid: tuple[int, int, int] | None = None
    replaced: bool = False
    beside: tuple[str, ...] = ()
    unmoved: tuple[str, ...] = ()
    cases: int = 2
    scriptable: bool = True

    def ids_of(self, config: str) -> dict[str, Any]:
        """What makes one config small."""
        trains = config.startswith("train")
        stage = next((dict(stage.ids) for stage in self.before if stage.config == config), {})
        return {**self.network, **(self.training if trains else {}), **stage}
