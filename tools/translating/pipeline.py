"""One scan from its file to its translation: modality, body, the bundle's own inference, checks, picture, record."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nibabel
import numpy as np
from monai.data import MetaTensor

from translating import picture, provenance
from translating.doubts import Examined, doubts
from translating.inputs import Scan
from translating.masks import AutomaticMask, MaskMaker, NoMask
from translating.models import Model, Models, cause_of
from translating.staging import MASK, Stage, write_mask
from translating.summary import Outcome
from transmodal.data import deviation_of
from transmodal.dicom import resolve, staged, validate_series, write_series
from transmodal.errors import InputError
from transmodal.modality import ModalityClassifier, Verdict, detect

__all__ = ["OTHER", "Pipeline", "Wishes"]

OTHER = {"ct": "mr", "mr": "ct"}


@dataclass(frozen=True)
class Wishes:
    """What the user asked for.

    Args:
        stated: modality of every scan, where nothing shall be detected.
        target: modality to translate to; the other one of each scan without it.
        seed, samples: of bundles that draw; their own without.
        masks: how the body is found.
        classifier: the network that tells CT from MR.
        classifier_sha256: of its weights.
        force: replace results of other requests.
        command: all options as given, for the record.
    """

    stated: str | None = None
    target: str | None = None
    seed: int | None = None
    samples: int | None = None
    masks: MaskMaker = field(default_factory=AutomaticMask)
    classifier: ModalityClassifier | None = None
    classifier_sha256: str | None = None
    force: bool = False
    command: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pipeline:
    """Translates scans one by one; each ends in a complete folder ``<output>/<case>``, or in none.

    Args:
        models: what to translate with.
        wishes: what is asked for.
        output: folder for the results.
    """

    models: Models
    wishes: Wishes
    output: Path

    def __call__(self, scan: Scan) -> Outcome:
        """Translate a scan; whatever goes wrong with it is told in the outcome, and not raised."""
        begun = time.monotonic()
        self.output.mkdir(parents=True, exist_ok=True)
        stage = None
        try:
            with ExitStack() as stack:
                temporary = Path(stack.enter_context(TemporaryDirectory(prefix=f".{scan.case}.", dir=self.output)))
                scan = replace(scan, series=resolve(scan.series)) if scan.series else scan
                image = stack.enter_context(staged(scan.series)) if scan.series else scan.path
                stage = Stage(temporary / "data", scan, image)
                outcome = self._translate(stage, temporary)
        except Exception as error:  # one bad case must not stop the others
            outcome = Outcome(scan.case, "failed", _told(cause_of(error), stage))
        return replace(outcome, seconds=time.monotonic() - begun)

    def _translate(self, stage: Stage, temporary: Path) -> Outcome:
        scan, image = stage.scan, stage.read()
        verdict = self._modality(scan, image)
        source = str(verdict.modality)
        target = self.wishes.target or OTHER[source]
        if source == target:
            return Outcome(scan.case, "left out", f"it already is {target.upper()} ({verdict.reason})")
        model = self.models.offering(source, target)
        draws, told = drawing(model, self.wishes)
        request = self._request(scan, source, target, model)
        folder = self.output / scan.case
        before = None if self.wishes.force else provenance.finished(folder, request)
        if before is not None:
            return Outcome(scan.case, "finished before", str(folder), before)
        stage.name(source, image)
        made = temporary / scan.case
        record = self._record(scan, verdict, request)
        warnings = [*told, *self._run(stage, image, verdict, target, model, draws, made)]
        self._present(scan, image, made, record, warnings)
        _put(made, folder)
        return Outcome(scan.case, "translated", f"{source} to {target}, {folder / f'{target}.nii.gz'}", tuple(warnings))

    def _modality(self, scan: Scan, image: MetaTensor) -> Verdict:
        """What the scan is: as stated, as its DICOM header has it, or by the cascade; a name must not contradict.

        Raises:
            InputError: if nothing tells, or its name tells another modality.
        """
        if self.wishes.stated:
            return Verdict(self.wishes.stated, "stated", None, f"--from {self.wishes.stated}")
        if scan.series:
            return Verdict(scan.series.modality, "dicom", None, "the DICOM header says so")
        verdict = detect(scan.path, image, self.wishes.classifier)
        if verdict.modality is None and scan.named:
            return Verdict(scan.named, "name", None, f"it is named {scan.path.name}; {verdict.reason}")
        if verdict.modality is None:
            raise InputError(
                scan.path,
                found=f"no telling whether it is CT or MR ({verdict.reason})",
                wanted="a CT or an MR image",
                remedy="say which it is with --from ct or --from mr"
                + ("" if self.wishes.classifier else ", or give --classifier the weights of a network that tells"),
            )
        if scan.named and scan.named != verdict.modality:
            raise InputError(
                scan.path,
                found=f"an image that is {verdict.modality.upper()} by its {verdict.by} ({verdict.reason})",
                wanted=f"{scan.named.upper()}, as it is named",
                remedy="correct its name, or say which it is with --from ct or --from mr",
            )
        return verdict

    def _request(self, scan: Scan, source: str, target: str, model: Model) -> dict[str, Any]:
        """All that decides the result."""
        return {
            "inputs": provenance.hashes(scan),
            "source": source,
            "target": target,
            "model": model.identity(),
            "seed": self.wishes.seed,
            "samples": self.wishes.samples,
            "segmentation": self.wishes.masks.identity,
            "classifier_sha256": self.wishes.classifier_sha256,
        }

    def _record(self, scan: Scan, verdict: Verdict, request: Mapping[str, Any]) -> dict[str, Any]:
        series = scan.series
        return {
            "case": scan.case,
            "mark": provenance.MARK,
            "input": str(scan.path),
            "modality": {
                "found": verdict.modality,
                "by": verdict.by,
                "probability": verdict.probability,
                "reason": verdict.reason,
            },
            "series": {"uid": series.uid, "number": series.number, "notes": list(series.notes)} if series else None,
            "request": request,
            "units": picture.DISPLAY[str(request["target"])].units,
            "versions": provenance.versions(None),
            "command": self.wishes.command,
            "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        }

    def _run(
        self,
        stage: Stage,
        image: MetaTensor,
        verdict: Verdict,
        target: str,
        model: Model,
        draws: Mapping[str, int],
        made: Path,
    ) -> list[str]:
        """Mask, translation and, where samples were drawn, deviation into the folder ``made``; what to be wary of."""
        source, case = str(verdict.modality), stage.scan.case
        ids = {"dataset_dir": str(stage.folder), "output_dir": str(made.parent / "output"), "source": source, **draws}
        warnings = list(stage.scan.series.notes) if stage.scan.series else []
        # an automatic mask stays here: the bundle finds it again on the grid of its training, as it does by itself
        segmented = self.wishes.masks.identity not in (AutomaticMask.identity, NoMask.identity)
        with model.opened(**ids, **({"body_from": "mask"} if segmented else {})) as workflow:
            mask = self.wishes.masks(image, source, stage, workflow)
            if mask is not None:
                write_mask(stage.mask, mask, image.affine.numpy())
            workflow.run()
            written = made.parent / "output" / case
            output = _read(written / f"{target}.nii.gz", image, model)
            body = np.ones(image.shape[1:], np.uint8) if mask is None else mask
            warnings += doubts(Examined(image, output, body, verdict, target, model, workflow, self.wishes.classifier))
        if segmented and not model.has("body_from"):
            warnings.append(f"{model.bundle.name} takes no mask from outside: the segmented one only lies beside")
        written.rename(made)
        if mask is not None:
            shutil.move(stage.mask, made / MASK)
        return warnings

    def _present(
        self, scan: Scan, image: MetaTensor, made: Path, record: Mapping[str, Any], warnings: list[str]
    ) -> None:
        """DICOM where DICOM came in, the picture and the record into the folder ``made``."""
        request = record["request"]
        source, target, model = request["source"], request["target"], request["model"]
        output = nibabel.load(made / f"{target}.nii.gz")
        images = {"source": image[0].numpy(), "target": np.asanyarray(output.dataobj)}
        beside = {"mask": made / MASK, "deviation": deviation_of(made / f"{target}.nii.gz")}
        images |= {key: np.asanyarray(nibabel.load(path).dataobj) for key, path in beside.items() if path.is_file()}
        if scan.series:
            told = provenance.for_dicom(record, warnings)
            write_series(made / "dicom", images["target"], output.affine, scan.series, target, told)
            validate_series(made / "dicom", images["target"], output.affine, target)
        picture.draw(
            made / "qc.png",
            images,
            output.affine,
            source,
            target,
            title=f"{scan.case}: {source.upper()} to {target.upper()}",
            warnings=warnings,
            footer=f"{model['bundle']} {model['version']}, weights {model['weights_sha256'][:12]}",
        )
        begun = datetime.fromisoformat(record["started"])
        seconds = round((datetime.now().astimezone() - begun).total_seconds(), 1)
        provenance.write(made, {**record, "warnings": warnings, "seconds": seconds})


def drawing(model: Model, wishes: Wishes) -> tuple[dict[str, int], list[str]]:
    """The ids of a bundle that draws, and what to say where one does not.

    Raises:
        InputError: if several samples are asked of a bundle that draws none.
    """
    ids, told = {}, []
    if wishes.seed is not None and model.has("seed"):
        ids["seed"] = wishes.seed
    elif wishes.seed is not None:
        told.append(f"--seed {wishes.seed} changes nothing: {model.bundle.name} draws nothing at random")
    if wishes.samples is not None and model.has("num_samples"):
        ids["num_samples"] = wishes.samples
    elif wishes.samples not in (None, 1):
        raise InputError(
            f"--samples {wishes.samples}",
            found=f"{model.bundle.name}, which draws nothing at random",
            wanted="a bundle whose inference.json has the id num_samples",
            remedy="leave --samples out, or name a bundle that draws, such as ct_mr_syndiff_translation",
        )
    return ids, told


def _read(path: Path, image: MetaTensor, model: Model) -> MetaTensor:
    """The translation, (1, H, W, D) on the scan's grid."""
    if not path.is_file():
        raise InputError(
            model.bundle.name,
            found=f"a bundle that wrote no <case>/{path.name}",
            wanted="a bundle that writes in the layout of the data",
            remedy="choose another --bundle",
        )
    volume = nibabel.load(path)
    output = MetaTensor(np.asanyarray(volume.dataobj)[None].astype(np.float32), affine=volume.affine)
    if output.shape != image.shape or not np.allclose(output.affine, image.affine, atol=1e-3):
        raise InputError(
            model.bundle.name,
            found=f"a translation on another grid, {tuple(output.shape[1:])} voxels",
            wanted=f"the scan's own, {tuple(image.shape[1:])}",
            remedy="choose another --bundle",
        )
    return output


def _put(made: Path, folder: Path) -> None:
    """Let a complete folder take its place; what was there before goes when it is safe to go."""
    before = made.with_name("before")
    if folder.exists():
        os.replace(folder, before)
    os.replace(made, folder)


def _told(error: Exception, stage: Stage | None) -> str:
    text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return stage.told(text) if stage else text
