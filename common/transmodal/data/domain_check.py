"""Before a training between domains: are the folders what they claim to be?

A published study trained its StarGAN on the folders ``test`` and ``train`` of one mixture, taken for two modalities.
The losses fell, the images came back as they went in, and nothing was ever translated. Such a training is refused here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from monai.utils import ensure_tuple
from numpy.typing import NDArray
from scipy.stats import binom

from transmodal.data.checks import check_path
from transmodal.data.layout import LABELS, MAGNETIC
from transmodal.errors import InputError
from transmodal.files import sha256_of, visible

__all__ = ["check_domains", "separability"]

logger = logging.getLogger(__name__)
Volume = tuple[NDArray[Any], NDArray[Any]]
"""Image (slices, C, H, W) in [-1, 1] and body (slices, H, W), as ``VolumeSlices.volumes`` holds them."""

FEWEST = 4
CHANCE, LOWEST_ACCURACY = 0.01, 0.75
SLICES = 24
ANYWAY = "set 'anyway' to true if you know better"


def check_domains(
    data: Sequence[Mapping[str, Any]],
    domains: Mapping[str, str | None],
    volumes: Mapping[str, Sequence[Volume]] | None = None,
    anyway: bool = False,
    read_at_most: int = 32,
) -> None:
    """Refuse a training between domains that are not what they claim to be.

    Three things are looked at: whether a file, judged by its content, belongs to two domains; whether CT is in
    Hounsfield units and MR is not; and whether the preprocessed volumes of every two domains can be told apart by their
    intensities (:func:`separability`), which needs at least 4 volumes of each.

    Args:
        data: batch records; a domain consists of the files under its key.
        domains: modality of each key; keys of masks and labels are passed over.
        volumes: the preprocessed volumes of each modality in the order of the records, such as those of
            ``VolumeSlices.volumes``; without them nothing is told apart.
        anyway: warn instead of refusing.
        read_at_most: so many files of each CT or MR domain are read, spread evenly.
    Raises:
        InputError: naming the files or the domains, and what was measured.
    """
    if not isinstance(anyway, bool):
        raise InputError(
            "check_domains, anyway", found=repr(anyway), wanted="true or false", remedy="write True or False"
        )
    files = {
        modality: {
            str(record.get("case", number)): _paths(record[key])
            for number, record in enumerate(data)
            if record.get(key)
        }
        for key, modality in domains.items()
        if modality is not None and modality not in LABELS
    }
    for fault in _faults(files, volumes or {}, read_at_most):
        if not anyway:
            raise fault
        logger.warning(f"going on anyway: {fault}")


def _faults(
    files: Mapping[str, Mapping[str, list[Path]]], volumes: Mapping[str, Sequence[Volume]], read_at_most: int
) -> Iterator[InputError]:
    yield from _shared_files(
        {name: [path for paths in cases.values() for path in paths] for name, cases in files.items()}
    )
    for name, cases in files.items():
        yield from _wrong_scale(name, [paths[0] for paths in cases.values()], read_at_most)
    described = {
        name: (np.array([_features(*volume) for volume in volumes[name]]), list(cases))
        for name, cases in files.items()
        if name in volumes
    }
    for first, second in combinations(described, 2):
        yield from _alike(first, second, described[first], described[second])


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


def _wrong_scale(name: str, paths: Sequence[Path], read_at_most: int) -> Iterator[InputError]:
    """A CT domain mostly without Hounsfield units, or an MR image that has them."""
    if name != "ct" and name not in MAGNETIC:
        return
    chosen = [paths[number] for number in _spread(len(paths), read_at_most)]
    in_hounsfield = [_in_hounsfield(path) for path in chosen]
    if name == "ct" and 2 * sum(in_hounsfield) < len(chosen):
        path = chosen[in_hounsfield.index(False)]
        yield InputError(
            path,
            found=f"no Hounsfield units in {len(chosen) - sum(in_hounsfield)} of {len(chosen)} files of the domain ct",
            wanted="CT: air near -1000, fat near -100, soft tissue near 40",
            remedy=f"put CT in its original units under this name; {ANYWAY}",
        )
    if name in MAGNETIC and any(in_hounsfield):
        yield InputError(
            chosen[in_hounsfield.index(True)],
            found=f"CT in Hounsfield units in the domain {name} ({sum(in_hounsfield)} of {len(chosen)} files)",
            wanted=f"{name} images only",
            remedy=f"sort the files into the domains again; {ANYWAY}",
        )


def _in_hounsfield(path: Path) -> bool:
    from transmodal.modality import from_hounsfield  # only here: both need this package
    from transmodal.transforms.loading import CheckedLoadImaged

    image = CheckedLoadImaged("image", modality="image")({"image": path})["image"]
    return from_hounsfield(image.float().round()).modality == "ct"  # a resampled CT has fractions


def _alike(
    first: str,
    second: str,
    ours: tuple[NDArray[np.float64], Sequence[str]],
    theirs: tuple[NDArray[np.float64], Sequence[str]],
) -> Iterator[InputError]:
    fewest = min(len(ours[0]), len(theirs[0]))
    if fewest < FEWEST:
        logger.info(f"domains {first} and {second} are not compared: fewer than {FEWEST} volumes in one of them")
        return
    accuracy, threshold = separability(*ours, *theirs), _threshold(2 * fewest)
    told = f"{accuracy:.0%} of their volumes are assigned correctly (chance is 50%, {threshold:.0%} are wanted)"
    if accuracy < threshold:
        yield InputError(
            f"domains {first} ({len(ours[0])} volumes) and {second} ({len(theirs[0])} volumes)",
            found=f"images that cannot be told apart by their intensities: {told}",
            wanted="a domain for each modality",
            remedy="check that the folders separate the modalities and not, for example, training and test cases; "
            f"for domains this alike, {ANYWAY}",
        )
    else:
        logger.info(f"domains {first} and {second}: {told}")


def separability(
    ours: NDArray[np.float64], our_cases: Sequence[str], theirs: NDArray[np.float64], their_cases: Sequence[str]
) -> float:
    """How often a volume is assigned to its own of two domains by the nearest mean of the other cases' volumes.

    Args:
        ours, theirs: features of the volumes of each domain, (N, F) and (M, F).
        our_cases, their_cases: the case of each volume; a case is left out of both means when its volumes are assigned.
    Returns:
        The mean of both domains' shares of correctly assigned volumes, from 0 to 1; 0.5 is chance. Each feature counts
        in units of its standard deviation within the domains.
    """
    features, domain = np.concatenate([ours, theirs]), np.repeat([0, 1], [len(ours), len(theirs)])
    cases = np.array([*our_cases, *their_cases])
    correct = np.zeros(len(cases), dtype=bool)
    for case in dict.fromkeys(cases):
        kept = cases != case
        groups = [features[kept & (domain == number)] for number in (0, 1)]
        if min(map(len, groups)) < 2:
            continue
        deviation = np.sqrt(np.mean([group.var(axis=0) for group in groups], axis=0)) + 1e-6
        distances = [np.square((features[~kept] - group.mean(axis=0)) / deviation).sum(axis=1) for group in groups]
        correct[~kept] = np.argmin(distances, axis=0) == domain[~kept]
    return float(np.mean([correct[domain == number].mean() for number in (0, 1)]))


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
    steps = [np.abs(np.diff(values, axis=axis))[_both(inside, axis)] for axis in (1, 2)]
    deciles = np.quantile(values[inside], np.arange(1, 10) / 10)
    return np.append(deciles, np.concatenate([*steps, [0.0]]).mean())


def _both(inside: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """Where a pixel and its next neighbour along an axis both lie inside."""
    count = inside.shape[axis]
    return inside.take(range(count - 1), axis) & inside.take(range(1, count), axis)


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
