"""Before a training between domains: are the folders what they claim to be?

A published study trained its StarGAN on the folders ``test`` and ``train`` of one mixture, taken for two modalities.
The losses fell, the images came back as they went in, and nothing was ever translated. Such a training is refused here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from monai.utils import ensure_tuple
from numpy.typing import NDArray
from scipy.stats import binom

from transmodal.data.checks import check_path
from transmodal.data.domain_files import ANYWAY, FEWEST, contents_of, wrong_files
from transmodal.data.layout import LABELS, MAGNETIC
from transmodal.data.neighbours import steps_inside
from transmodal.errors import InputError, require_flag
from transmodal.files import sha256_of, visible

__all__ = ["check_domains", "nearness", "separability"]

logger = logging.getLogger(__name__)
Volume = tuple[NDArray[Any], NDArray[Any]]
"""Image (slices, C, H, W) in [-1, 1] and body (slices, H, W), as ``VolumeSlices.volumes`` holds them."""

CHANCE, LOWEST_ACCURACY = 0.01, 0.75
SLICES = 24
STRANGERS, CLEARLY = 2, 0.5
"""So many volumes of a domain that are clearly (in squared distance) nearer to the other one are no coincidence."""


def check_domains(
    data: Sequence[Mapping[str, Any]],
    domains: Mapping[str, str | None],
    volumes: Mapping[str, Sequence[Volume]] | None = None,
    anyway: bool = False,
    read_at_most: int | None = None,
    classifier: str | Path | None = None,
) -> None:
    """Refuse a training between domains that are not what they claim to be.

    Looked at are: whether a file, judged by its content, belongs to two domains; whether every CT is in Hounsfield
    units and no MR is, nor looks like a CT without them (for at least 4 CTs); and whether the preprocessed volumes of
    every two domains can be told apart by their intensities (:func:`separability`) and no several of them are clearly
    nearer to the other domain, which needs at least 4 volumes of each.

    Args:
        data: batch records; a domain consists of the files under its key.
        domains: modality of each key; keys of masks and labels are passed over.
        volumes: the preprocessed volumes of each modality in the order of the records, such as those of
            ``VolumeSlices.volumes``; without them nothing is told apart.
        anyway: warn instead of refusing.
        read_at_most: so many files of each CT or MR domain are read, spread evenly; all if None.
        classifier: weights of a modality classifier (:class:`~transmodal.modality.ModalityClassifier`), which votes on
            each of these files that is not in Hounsfield units; none is asked if None.
    Raises:
        InputError: naming the files or the domains, and what was measured.
    """
    require_flag("check_domains, anyway", anyway)
    files = {
        modality: {
            str(record.get("case", number)): _paths(record[key])
            for number, record in enumerate(data)
            if record.get(key)
        }
        for key, modality in domains.items()
        if modality is not None and modality not in LABELS
    }
    for fault in _faults(files, volumes or {}, read_at_most, classifier):
        if not anyway:
            raise fault
        logger.warning("going on anyway: %s", fault)


def _faults(
    files: Mapping[str, Mapping[str, list[Path]]],
    volumes: Mapping[str, Sequence[Volume]],
    read_at_most: int | None,
    classifier: str | Path | None,
) -> Iterator[InputError]:
    yield from _shared_files(
        {name: [path for paths in cases.values() for path in paths] for name, cases in files.items()}
    )
    yield from _wrong_files(files, read_at_most, classifier)
    described = {
        name: _Described(
            np.array([_features(*volume) for volume in volumes[name]]), list(cases), [p[0] for p in cases.values()]
        )
        for name, cases in files.items()
        if name in volumes
    }
    for first, second in combinations(described, 2):
        yield from _alike(first, second, described[first], described[second])


def _wrong_files(
    files: Mapping[str, Mapping[str, list[Path]]], read_at_most: int | None, classifier: str | Path | None
) -> Iterator[InputError]:
    from transmodal.modality import ModalityClassifier  # only here: it needs this package

    witness = None if classifier is None else ModalityClassifier.load(classifier)
    contents = {}
    for name, paths in files.items():
        if name == "ct" or name in MAGNETIC:
            cases = list(paths)
            chosen = [cases[number] for number in _spread(len(cases), read_at_most or len(cases))]
            contents[name] = contents_of(name, {case: paths[case][0] for case in chosen}, witness)
    yield from wrong_files(contents)


def _shared_files(files: Mapping[str, Sequence[Path]]) -> Iterator[InputError]:
    """Files of equal content in two domains; only files of equal size are read."""
    sizes: dict[int, list[tuple[str, Path]]] = {}
    for name, path in dict.fromkeys((name, path.resolve()) for name, paths in files.items() for path in paths):
        sizes.setdefault(sum(part.stat().st_size for part in _parts(path)), []).append((name, path))
    contents: dict[str, tuple[str, Path]] = {}
    for candidates in sizes.values():
        if len({name for name, _ in candidates}) < 2:
            continue
        for name, path in candidates:
            first, seen = contents.setdefault(_digest(path), (name, path))
            if first != name:
                yield InputError(
                    path,
                    found=f"the same content in the domains {first} ({seen}) and {name}",
                    wanted="different images in every domain",
                    remedy=f"sort the files into the domains again; {ANYWAY}",
                )


@dataclass(frozen=True)
class _Described:
    """The volumes of a domain: features (N, F), and of each its case and file."""

    features: NDArray[np.float64]
    cases: list[str]
    paths: list[Path]


def _alike(first: str, second: str, ours: _Described, theirs: _Described) -> Iterator[InputError]:
    fewest = min(len(ours.features), len(theirs.features))
    if fewest < FEWEST:
        logger.warning(
            "domains %s and %s are not compared: fewer than %s volumes in one of them", first, second, FEWEST
        )
        return
    found = nearness(ours.features, ours.cases, theirs.features, theirs.cases)
    accuracy, threshold = separability(found), _threshold(2 * fewest)
    told = f"{accuracy:.0%} of their volumes are assigned correctly (chance is 50%, {threshold:.0%} are wanted)"
    if accuracy < threshold:
        yield InputError(
            f"domains {first} ({len(ours.features)} volumes) and {second} ({len(theirs.features)} volumes)",
            found=f"images that cannot be told apart by their intensities: {told}",
            wanted="a domain for each modality",
            remedy="check that the folders separate the modalities and not, for example, training and test cases; "
            f"for domains this alike, {ANYWAY}",
        )
        return
    logger.info("domains %s and %s: %s", first, second, told)
    for name, other, described, ratios in ((first, second, ours, found[0]), (second, first, theirs, found[1])):
        yield from _strangers(name, other, described, ratios)


def _strangers(name: str, other: str, domain: _Described, ratios: NDArray[np.float64]) -> Iterator[InputError]:
    strange = [path for path, ratio in zip(domain.paths, ratios, strict=True) if ratio < CLEARLY]
    if len(strange) >= STRANGERS:
        yield InputError(
            f"domain {name} ({len(domain.paths)} volumes)",
            found=f"{len(strange)} images that look like the domain {other}: {', '.join(map(str, strange))}",
            wanted=f"{name} images only",
            remedy=f"sort the files into the domains again; {ANYWAY}",
        )


Nearness = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Of each volume of two domains its squared distance to the other domain's mean over that to its own; NaN if unknown.

Below 1 it is nearer to the other.
"""


def separability(found: Nearness) -> float:
    """How often a volume is assigned to its own of two domains by the nearest mean of the other cases' volumes.

    Returns:
        The mean of both domains' shares of correctly assigned volumes, from 0 to 1; 0.5 is chance.
    """
    return float(np.mean([(ratios >= 1).mean() for ratios in found]))


def nearness(
    ours: NDArray[np.float64], our_cases: Sequence[str], theirs: NDArray[np.float64], their_cases: Sequence[str]
) -> Nearness:
    """How near each volume is to the means of both domains.

    Args:
        ours, theirs: features of the volumes of each domain, (N, F) and (M, F). Each counts in units of its standard
            deviation within the domains.
        our_cases, their_cases: the case of each volume; a case is left out of both means when its volumes are assigned.
    """
    features, domain = np.concatenate([ours, theirs]), np.repeat([0, 1], [len(ours), len(theirs)])
    cases = np.array([*our_cases, *their_cases])
    ratios = np.full(len(cases), np.nan)
    for case in dict.fromkeys(cases):
        kept = cases != case
        groups = [features[kept & (domain == number)] for number in (0, 1)]
        if min(map(len, groups)) < 2:
            continue
        deviation = np.sqrt(np.mean([group.var(axis=0) for group in groups], axis=0)) + 1e-6
        away = np.stack([np.square((features[~kept] - g.mean(axis=0)) / deviation).sum(axis=1) for g in groups])
        own, rows = domain[~kept], np.arange(away.shape[1])
        ratios[~kept] = away[1 - own, rows] / np.maximum(away[own, rows], 1e-12)
    return ratios[domain == 0], ratios[domain == 1]


def _threshold(count: int) -> float:
    """The smallest accuracy that guessing ``count`` times reaches in less than 1 of 100 trials, and at least 0.75."""
    hits = int(binom.isf(CHANCE, count, 0.5)) + 1
    return max(LOWEST_ACCURACY, min(hits, count) / count)


def _features(image: NDArray[Any], body: NDArray[Any]) -> NDArray[np.float64]:
    """Deciles of the intensities in the body, and the mean step between neighbouring pixels in a slice, (10,)."""
    shown = np.flatnonzero(body.reshape(len(body), -1).any(axis=1))
    slices = shown[_spread(len(shown), SLICES)] if len(shown) else np.arange(min(len(body), SLICES))
    values = np.asarray(image[slices, 0], dtype=np.float64)
    inside = np.asarray(body[slices]) > 0 if len(shown) else np.ones_like(values, dtype=bool)
    deciles = np.quantile(values[inside], np.arange(1, 10) / 10)
    return np.append(deciles, np.append(steps_inside(values, inside, axes=(1, 2)), 0.0).mean())


def _spread(count: int, at_most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, at_most)).round().astype(np.int64))


def _paths(value: Any) -> list[Path]:
    return [Path(str(path)) for path in ensure_tuple(value)]


def _parts(path: Path) -> list[Path]:
    """A file, or the files of a DICOM folder."""
    if not path.exists():
        check_path(path)
    return [part for part in visible(path) if part.is_file()] if path.is_dir() else [path]


def _digest(path: Path) -> str:
    return " ".join(sha256_of(part) for part in _parts(path))
