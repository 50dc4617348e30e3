"""Does a model write down training patients? Each generated CT is compared with all training CTs, as true CTs are.

Volumes are compared by what makes them individual: on a coarse grid, what the mean of the training CTs does not explain
(residuals of the linear regression on it), by the correlation of that; their distance is 1 minus it, 0 for a copy and
about 1 for strangers. In HU a blurred or pale volume, as generated ones are, would be near to everyone; here it is not.
Moved and mirrored copies are found, and what is all but the mean is like nobody; see ``likeness.py``.

A copy gives itself away by the ratio of the distances to its nearest and its second nearest training CT, next to 0,
which between strangers is near 1 (T. Yoon et al., Diffusion probabilistic models generalize when they fail to memorize,
ICML workshop 2023, with its limit of 1/3). Copies that are less than perfect show in many cases together, as ratios
lower than those of the true CTs, which the model has never seen (C. Meehan, K. Chaudhuri and S. Dasgupta, A
non-parametric test to detect data-copying in generative models, AISTATS 2020: the test of Mann and Whitney). Two CTs of
one patient among the training cases hide each other's copies from the ratio; the distance still shows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from scipy.stats import mannwhitneyu
from torch import Tensor

from transmodal.errors import InputError
from transmodal.files import write_atomically
from transmodal.handlers import StudyProtocol
from transmodal.handlers.records import CaseRecord
from xray2ctpa_bundle.likeness import Likeness, Neighbours, moved_signatures, signature
from xray2ctpa_bundle.memorisation_figure import draw_memorisation

__all__ = ["MemorisationCheck", "RememberedCTs"]


class RememberedCTs:
    """Training cases as they are, of whose CTs a signature stays when they have passed.

    It stands between a data set and the baselines that are fitted on it, so that each CT is read once for both.

    Args:
        data: training cases, dictionaries with ``case`` and ``label``, the CT in HU on the working grid.
        window: lowest and highest HU that count; those of the model.
        size: coarse grid along F, H and W; three or more; the default has voxels of 20 × 12 × 12 mm.
    """

    def __init__(
        self,
        data: Iterable[Mapping[str, Any]],
        window: Sequence[float] = (-1000.0, 600.0),
        size: Sequence[int] = (16, 32, 32),
    ) -> None:
        self.data, self.window, self.size = data, tuple(window), tuple(size)
        self._signatures: dict[str, Tensor] = {}
        self._complete = False

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for number, sample in enumerate(self.data):
            if "label" in sample:
                name = str(sample.get("case", f"number {number + 1}"))
                self._signatures[name] = signature(sample["label"], self.window, self.size)
            yield sample
        self._complete = True

    def signatures(self) -> dict[str, Tensor]:
        """Of all training CTs, by case; reads those that have not passed yet."""
        if not self._complete:
            for _ in self:
                pass
        return dict(self._signatures)


class Row(NamedTuple):
    """What is found of a case: the neighbours of the generated and the true CT, and how far those two are apart."""

    case: str
    generated: Neighbours
    true: Neighbours
    to_own: float


class MemorisationCheck(StudyProtocol[Row]):
    """Compares generated and true CTs of an evaluation with the training CTs, and says whether copies are among them.

    It reads what :class:`~transmodal.handlers.EvaluationReport` reads, on the working grid, and writes
    ``memorisation.csv`` with a row for each case, ``memorisation.json`` with the verdict, and ``memorisation.png``. A
    case that is itself among the training cases is compared with the others. With fewer than three training CTs there
    is nothing to compare, and a sentence in the log says so.

    Args:
        output_dir: where the files go; each is there whole or not at all.
        training: the training CTs.
        ratio_limit: ratio of distances up to which a generated CT is called a copy.
        significance: probability, of chance alone making generated CTs look as copied as they do, up to which the
            whole set is suspected.
        title, footer: first and last line of the figure.
    Raises:
        InputError: if the two limits are not between 0 and 1.
    """

    files = "memorisation"
    columns = (
        "case", "nearest", "distance", "second_distance", "ratio",
        "true_nearest", "true_distance", "true_second_distance", "true_ratio", "distance_to_own_ct",
    )  # fmt: skip

    def __init__(
        self,
        output_dir: str | Path,
        training: RememberedCTs,
        ratio_limit: float = 1 / 3,
        significance: float = 0.01,
        title: str = "",
        footer: str = "synthetic image, research use only",
    ) -> None:
        super().__init__(output_dir)
        self.training, self.title, self.footer = training, title, footer
        self.ratio_limit, self.significance = _share("ratio_limit", ratio_limit), _share("significance", significance)
        self._likeness: Likeness | None = None

    def rows(self, record: CaseRecord) -> Iterable[Row]:
        """One row for a case, or none where there are no training CTs to compare with."""
        likeness = self._compared()
        if likeness is None:
            return
        window, size = self.training.window, self.training.size
        pred, label = (moved_signatures(volume, window, size) for volume in (record.pred, record.label))
        own = signature(record.label, window, size)
        if torch.isfinite(pred).all() and torch.isfinite(label).all():
            generated, true = (likeness.neighbours(each, record.case) for each in (pred, label))
            yield Row(record.case, generated, true, likeness.distance(pred, own))

    def cells(self, row: Row) -> Sequence[Any]:
        """A row by columns."""
        generated, true = ((*each, each.ratio) for each in (row.generated, row.true))
        return (row.case, *generated, *true, row.to_own)

    def summary(self, rows: Sequence[Row]) -> Mapping[str, Any]:
        """Copies by case, the test over all of them, and the verdict in words."""
        likeness = self._compared()
        training = len(likeness.names) if likeness else 0
        copies = [row.case for row in rows if row.generated.ratio <= self.ratio_limit]
        strangers = [row.case for row in rows if row.generated.distance < row.to_own]
        chance = _chance([row.generated.ratio for row in rows], [row.true.ratio for row in rows])
        return {
            "title": self.title,
            "method": {
                "compared": f"averages on a grid of {'×'.join(map(str, self.training.size))}, "
                "without its rim and what the training mean explains, as CTs lie and moved by up to a voxel of it, "
                "mirrored as well",
                "window": self.training.window,
                "distance": "1 - correlation; 0 is a copy",
                "ratio": f"of the distances to the nearest and second nearest training CT; copy up to "
                f"{self.ratio_limit:.3g}",
                "chance": "that ratios of generated CTs are no lower than those of true ones, one-sided Mann-Whitney",
            },
            "training_cases": training,
            "cases": len(rows),
            "copies": copies,
            "nearer_to_a_training_ct_than_to_their_own": strangers,
            "chance": chance,
            "medians": _medians(rows),
            "verdict": self._verdict(len(rows), training, copies, chance),
        }

    def sentences(self, summary: Mapping[str, Any]) -> Iterable[str]:
        """The verdict."""
        yield f"memorisation: {summary['verdict']}"

    def _verdict(self, count: int, training: int, copies: Sequence[str], chance: float | None) -> str:
        if not count:
            return "not checked, which takes three training CTs or more and a case to compare with them"
        checked = f"{count} case(s) against {training} training CTs"
        if copies:
            return f"copies of training CTs suspected in {len(copies)} of {checked}: {', '.join(copies)}"
        if chance is not None and chance <= self.significance:
            return f"generated CTs lean on single training CTs more than true ones do (p = {chance:.2g}); {checked}"
        few = "" if count >= 10 else "; so few cases show gross copying only"
        return f"no sign of copies; {checked}{few}"

    def _compared(self) -> Likeness | None:
        if self._likeness is None:
            signatures = self.training.signatures()
            self._likeness = Likeness(signatures) if len(signatures) > 2 else None
        return self._likeness

    def _write(self, rows: Sequence[Row]) -> None:
        super()._write(rows)
        if rows:
            draw = partial(
                draw_memorisation,
                {
                    "generated": [(row.generated.distance, row.generated.ratio) for row in rows],
                    "true": [(row.true.distance, row.true.ratio) for row in rows],
                },
                to_own=[row.to_own for row in rows],
                limit=self.ratio_limit,
                title=self.title,
                verdict=self.summary(rows)["verdict"],
                footer=self.footer,
            )
            write_atomically(self.output_dir / f"{self.files}.png", lambda path: draw(path=path))


def _chance(generated: Sequence[float], true: Sequence[float]) -> float | None:
    """Probability that ratios as low as the generated come by chance; None without cases, or if all are equal."""
    if len({*generated, *true}) < 2:
        return None
    return float(mannwhitneyu(generated, true, alternative="less").pvalue)


def _medians(rows: Sequence[Row]) -> dict[str, float | None]:
    if not rows:
        return {}
    values = {
        "distance": [row.generated.distance for row in rows],
        "ratio": [row.generated.ratio for row in rows],
        "true_distance": [row.true.distance for row in rows],
        "true_ratio": [row.true.ratio for row in rows],
        "distance_to_own_ct": [row.to_own for row in rows],
    }
    return {name: float(torch.tensor(each).quantile(0.5)) for name, each in values.items()}


def _share(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise InputError(
            f"MemorisationCheck, {name}",
            found=repr(value),
            wanted="a number between 0 and 1",
            remedy="leave it at its default",
        )
    return float(value)
