"""Whether a scan is CT or MR: who says so, and what speaks against it."""

from __future__ import annotations

from collections.abc import Iterator

from monai.data import MetaTensor

from translating.staging import Stage
from transmodal.data.layout import MODALITY_OF
from transmodal.errors import InputError
from transmodal.modality import ModalityClassifier, Verdict, detect, from_dicom, from_hounsfield

__all__ = ["contradictions", "modality_of"]


def modality_of(stage: Stage, image: MetaTensor, stated: str | None, classifier: ModalityClassifier | None) -> Verdict:
    """What the scan is: as stated, as its DICOM header has it, or by the cascade; a name must not contradict.

    Args:
        stage: where it lies.
        image: its voxels, (1, H, W, D), in its own units.
        stated: what the user says it is.
        classifier: the network that tells where nothing else does.
    Raises:
        InputError: if nothing tells, or its name tells another modality.
    """
    scan = stage.scan
    if stated:
        return Verdict(stated, "stated", None, f"--from {stated}")
    if scan.series:
        return Verdict(scan.series.modality, "dicom", None, "the DICOM header says so")
    verdict = detect(scan.path, image, classifier)
    if verdict.modality is None and scan.named:
        return Verdict(scan.named, "name", None, f"it is named {scan.path.name}; {verdict.reason}")
    if verdict.modality is None:
        raise InputError(
            scan.path,
            found=f"no telling whether it is CT or MR ({verdict.reason})",
            wanted="a CT or an MR image",
            remedy="say which it is with --from ct or --from mr"
            + ("" if classifier else ", or give --classifier the weights of a network that tells"),
        )
    if scan.named and scan.named != verdict.modality:
        raise InputError(
            scan.path,
            found=f"an image that is {verdict.modality.upper()} by its {verdict.by} ({verdict.reason})",
            wanted=f"{scan.named.upper()}, as it is named",
            remedy="correct its name, or say which it is with --from ct or --from mr",
        )
    return verdict


def contradictions(
    stage: Stage, image: MetaTensor, verdict: Verdict, classifier: ModalityClassifier | None
) -> Iterator[str]:
    """A sentence for each thing that speaks against a modality which the user or a DICOM header vouches for.

    They are believed nevertheless. What else a header tells to be wary of, such as derived images, is told here too.
    """
    if verdict.by not in ("dicom", "stated"):  # found by looking at the values
        return
    modality = MODALITY_OF[str(verdict.modality)]
    vouched = f"{'the DICOM header' if verdict.by == 'dicom' else '--from'} says {str(verdict.modality).upper()}"
    yield from _in_the_headers(stage, modality, vouched)
    values = from_hounsfield(image)
    if modality == "mr" and values.modality == "ct":
        yield f"{vouched}, but the values are those of CT: {values.reason}"
    elif verdict.by == "dicom" and modality == "ct" and values.modality is None:
        yield f"{vouched}, but {values.reason}"
    seen = classifier(image) if classifier else None
    if seen is not None and seen.modality not in (None, modality):
        yield f"{vouched}, but a network takes it for {str(seen.modality).upper()}: {seen.reason}"


def _in_the_headers(stage: Stage, modality: str, vouched: str) -> Iterator[str]:
    if not stage.scan.series:
        return
    header = from_dicom(stage.image, look_at=len(stage.scan.files))
    if header.modality != modality:
        yield f"{vouched}, but {header.reason}"
    elif notes := header.reason.partition("; ")[2]:
        yield f"{vouched}; of its images, {notes}"
