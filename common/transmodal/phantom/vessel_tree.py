"""Branching vessels that fill a volume: each target joins the tree where its way back to the root is short.

Radii follow Murray's law: a parent's r**2.7 is the sum of its children's (Suwa et al., 1963, for the lung's arteries).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from transmodal.phantom.shapes import Point, Tubes

_MURRAY = 2.7


@dataclass(frozen=True)
class VesselTree:
    """A tree of nodes: their positions in mm, (N, 3), parents (-1 for the root), and the radius of the way to each."""

    nodes: NDArray[np.float64]
    parents: NDArray[np.int64]
    radii: NDArray[np.float64]

    @staticmethod
    def grow(root: Point, targets: NDArray[np.float64], twig: float, rng: Generator, piece: float = 14.0) -> VesselTree:
        """Grow from ``root`` to every target.

        Args:
            root: where the tree enters, region mm.
            targets: (N, 3) points that twigs must reach, region mm.
            twig: radius of the last branches in mm.
            rng: source of the small bends.
            piece: greatest length of a straight piece in mm.
        """
        nodes, parents, way = [np.asarray(root, dtype=np.float64)], [-1], [0.0]
        leaves: list[int] = []
        for target in targets[np.argsort(np.linalg.norm(targets - nodes[0], axis=1))]:
            gap = np.linalg.norm(np.asarray(nodes) - target, axis=1)
            parent = int(np.argmin(gap + 0.45 * np.asarray(way)))
            count = max(1, int(np.ceil(gap[parent] / piece)))
            start, length = nodes[parent], float(gap[parent])
            for step in range(1, count + 1):
                bend = rng.normal(0, 0.07 * length / count, 3) if step < count else np.zeros(3)
                nodes.append(start + (target - start) * step / count + bend)
                parents.append(parent)
                way.append(way[parent] + length / count)
                parent = len(nodes) - 1
            leaves.append(parent)
        flow = np.zeros(len(nodes))
        flow[leaves] = 1
        for node in range(len(nodes) - 1, 0, -1):  # children come after their parents
            flow[parents[node]] += flow[node]
        return VesselTree(np.asarray(nodes), np.asarray(parents), twig * flow ** (1 / _MURRAY))

    def tubes(self, thicker_than: float = 0.0, shift: Point = (0.0, 0.0, 0.0)) -> Tubes:
        """The pieces with a radius above ``thicker_than`` mm, moved by ``shift`` mm."""
        chosen = np.flatnonzero((self.parents >= 0) & (self.radii > thicker_than))
        move = np.asarray(shift, dtype=np.float64)
        return Tubes(self.nodes[self.parents[chosen]] + move, self.nodes[chosen] + move, self.radii[chosen])

    def clots(self, count: int, thicker_than: float, rng: Generator) -> Tubes:
        """Pieces blocked by ``count`` emboli, each along up to three pieces toward the root, 0.85 of the lumen wide."""
        blocked: list[int] = []
        wide = np.flatnonzero((self.parents > 0) & (self.radii > thicker_than))
        for _ in range(count if wide.size else 0):
            node = int(rng.choice(wide))
            for _ in range(int(rng.integers(1, 4))):
                if self.parents[node] > 0:
                    blocked.append(node)
                    node = int(self.parents[node])
        chosen = np.asarray(blocked, dtype=np.int64)
        return Tubes(self.nodes[self.parents[chosen]], self.nodes[chosen], 0.85 * self.radii[chosen])
