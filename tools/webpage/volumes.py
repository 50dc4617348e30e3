"""Volumes among uploads: read, written for the viewer, and told from what cannot be translated."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from translating.inputs import Scan
from translating.staging import Stage
from transmodal.data import check_image
from transmodal.data.layout import ALIASES, MAGNETIC, VOLUMES, extension
from transmodal.errors import InputError
from transmodal.modality import ModalityClassifier, detect
from webpage.display import units_of, window_of, write_volume
from webpage.examined import Examined, Level, one_line, stem_of

__all__ = ["examine_contrasts", "examine_volume"]

FEW_SLICES = 8


def examine_volume(scan: Scan, image: Path, views: Path, network: ModalityClassifier | None = None) -> Examined:
    """A scan, its voxels written for the viewer."""
    stage = Stage(views / "stage", scan, image)
    try:
        voxels = stage.read()
    except InputError as error:
        raise InputError(
            scan.path.name, found=stage.told(error.found), wanted=error.wanted, remedy=error.remedy
        ) from error
    finally:
        shutil.rmtree(stage.folder, ignore_errors=True)
    shape, spacing = [*map(int, voxels.shape[1:])], [round(float(size), 4) for size in voxels.pixdim]
    named = scan.series.modality if scan.series else None
    found = _Found(named, "the DICOM header says so") if named else _detected(scan, voxels, network)
    modality = found.modality
    examined = Examined("volume", modality, scan.path.name, shape, spacing, units_of(modality))
    values = voxels[0].numpy()
    examined.files["source"] = write_volume(views / "source.nii.gz", values, voxels.affine.numpy()).name
    examined.windows["source"] = [*window_of(values, modality)]
    examined.paths["image"] = str(scan.path)
    for level, text in _checks(voxels, found, shape, spacing):
        examined.tell(level, text)
    return examined


@dataclass(frozen=True)
class _Found:
    """What a volume is, None if nothing tells; why; and what speaks against it."""

    modality: str | None
    reason: str
    against: str = ""


def _detected(scan: Scan, voxels: Any, network: ModalityClassifier | None) -> _Found:
    """What a file without a header is: its name counts more than its values, and these more than a network."""
    verdict = detect(scan.path, voxels, network)
    if scan.named:
        differs = verdict.modality not in (None, scan.named)
        against = f"it looks like {str(verdict.modality).upper()}: {verdict.reason}" if differs else ""
        return _Found(scan.named, f"it is named {scan.path.name}", against)
    if verdict.by == "network" and (fault := _fault(voxels, verdict.modality)):
        return _Found(None, f"a network takes it for {str(verdict.modality).upper()}, but {fault.found}")
    return _Found(verdict.modality, verdict.reason)


def _fault(voxels: Any, modality: str | None) -> InputError | None:
    """Why an image cannot be of a modality."""
    try:
        check_image(voxels, str(modality), "the scan")
    except InputError as error:
        return error
    return None


def _checks(voxels: Any, found: _Found, shape: Sequence[int], spacing: Sequence[float]) -> Iterator[tuple[Level, str]]:
    """All that is looked at in a volume, with what was found."""
    sizes = " × ".join(f"{size:g}" for size in spacing)
    yield "ok", f"{' × '.join(map(str, shape))} voxels of {sizes} mm, finite and not constant"
    if found.modality is None:
        yield "warning", f"no telling whether it is CT or MR ({found.reason}): say which it is"
    else:
        yield "ok", f"{found.modality.upper()}: {found.reason}"
        if fault := _fault(voxels, found.modality):
            yield "error", one_line(fault)
    if found.against:
        yield "warning", found.against
    if min(shape) < FEW_SLICES:
        yield "warning", f"only {min(shape)} slices"
    if max(spacing) > 4 * min(spacing):
        yield "warning", f"voxels are {max(spacing) / min(spacing):.1f} times as long as wide"


def examine_contrasts(paths: Sequence[Path], views: Path) -> Examined:
    """Several volumes that are the contrasts of one case, told by the names of the files."""
    named: dict[str, Path] = {}
    for path in paths:
        contrast = _contrast_of(path)
        if contrast is None or contrast in named or extension(path) not in VOLUMES:
            raise InputError(
                "the upload",
                found=f"{len(paths)} images, of which {path.name} "
                + ("is no volume named after its contrast" if contrast not in named else "repeats a contrast"),
                wanted=f"one scan; or several contrasts of one case, named {', '.join(MAGNETIC[1:])}",
                remedy="upload one scan at a time, or name the files after their contrasts",
            )
        named[contrast] = path
    first: Examined | None = None
    checks: list[dict[str, str]] = []
    for contrast, path in named.items():
        folder = views / contrast
        folder.mkdir()
        examined = examine_volume(Scan("scan", path, "mr"), path, folder)
        checks += [{**check, "text": f"{contrast}: {check['text']}"} for check in examined.checks]
        (folder / "source.nii.gz").rename(views / f"{contrast}.nii.gz")
        folder.rmdir()
        if first is None:
            first = examined
        elif first.shape != examined.shape:
            checks.append({"level": "error", "text": f"{contrast} has other voxels than {next(iter(named))}"})
    assert first is not None  # there are two paths at least
    first.kind, first.modality, first.units = "volumes", "mr", units_of("mr")
    first.contrasts, first.checks = list(named), checks
    first.paths = {contrast: str(path) for contrast, path in named.items()}
    first.files = {"source": f"{next(iter(named))}.nii.gz", **{each: f"{each}.nii.gz" for each in named}}
    first.name = ", ".join(path.name for path in paths)
    return first


def _contrast_of(path: Path) -> str | None:
    """The MR contrast that a file is named after, as ``t1.nii.gz`` or ``case_007-t1c.nii.gz`` is."""
    for word in reversed(stem_of(path).replace("-", "_").replace(".", "_").split("_")):
        contrast = ALIASES.get(word, word)
        if contrast in MAGNETIC[1:]:
            return contrast
    return None
