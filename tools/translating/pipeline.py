"""One scan from its file to its translation: modality, body, the bundle's own inference, checks, picture, record."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from monai.data import MetaTensor

from translating import picture, provenance, tracebacks
from translating.doubts import Examined, doubts
from translating.inputs import Scan
from translating.listening import Listener, Nobody, watch
from translating.masks import AutomaticMask, MaskMaker, NoMask
from translating.model import Model, cause_of
from translating.models import OPPOSITE, Models
from translating.results import Results
from translating.staging import MASK, Stage, write_mask
from translating.summary import Outcome
from translating.witnesses import contradictions, modality_of
from transmodal.data import deviation_of
from transmodal.data.layout import MODALITY_OF
from transmodal.dicom import resolve, staged, validate_series, write_series
from transmodal.errors import InputError
from transmodal.modality import ModalityClassifier, Verdict

__all__ = ["Pipeline", "Wishes"]


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
        listener: is told how far a scan is.
    """

    models: Models
    wishes: Wishes
    output: Path
    listener: Listener = field(default_factory=Nobody)

    def __call__(self, scan: Scan) -> Outcome:
        """Translate a scan; whatever goes wrong with it is told in the outcome, and not raised.

        Of what is no :class:`InputError` the traceback is kept in ``<output>/<case>.error.txt`` until the next try.

        Raises:
            InputError: if no result can be written at all.
        """
        begun, results, stage = time.monotonic(), self._results, None
        tracebacks.forget(self.output, scan)
        try:
            with ExitStack() as stack:
                working = Path(stack.enter_context(results.working()))
                scan = replace(scan, series=resolve(scan.series)) if scan.series else scan
                image = stack.enter_context(staged(scan.series)) if scan.series else scan.path
                stage = Stage(working / "data", scan, image)
                outcome = self._translate(stage, working)
        except Exception as error:  # one bad case must not stop the others
            cause = cause_of(error)
            kept = "" if isinstance(cause, InputError) else tracebacks.keep(self.output, scan, error)
            outcome = Outcome(scan.case, "failed", _told(cause, stage), traceback=kept)
        return replace(outcome, seconds=time.monotonic() - begun)

    @cached_property
    def _results(self) -> Results:
        return Results.opened(self.output)

    def _translate(self, stage: Stage, working: Path) -> Outcome:
        self.listener.stage("reading")
        scan, image, wishes = stage.scan, stage.read(), self.wishes
        verdict = modality_of(stage, image, wishes.stated, wishes.classifier)
        source = str(verdict.modality)
        target = wishes.target or OPPOSITE[source]
        if source == target:
            return Outcome(scan.case, "left out", f"it already is {target.upper()} ({verdict.reason})")
        model = self.models.offering(source, target)
        draws, told = drawing(model, wishes)
        request = self._request(scan, source, target, model)
        folder = self.output / scan.case
        before = provenance.before(folder, request, scan.files, wishes.force)
        if before.warnings is not None:
            return Outcome(scan.case, "finished before", str(folder), before.warnings, limits=model.limits)
        stage.name(source, image)
        made = working / "made" / scan.case
        record = self._record(scan, verdict, request) | ({"limits": model.limits} if model.limits else {})
        told += contradictions(stage, image, verdict, wishes.classifier)
        found, record["effective"] = self._run(stage, image, verdict, target, model, draws, made)
        warnings = [*told, *found]
        self._present(scan, image, made, record, warnings)
        self._results.put(made, working, scan.files)
        text = f"{source} to {target}, {folder / f'{target}.nii.gz'}"
        again = f" (made again, since {before.damage})" if before.damage else ""
        notes = scan.series.notes if scan.series else ()
        return Outcome(scan.case, "translated", text + again, tuple(warnings), notes=notes, limits=model.limits)

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
            "versions": provenance.versions(),
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
    ) -> tuple[list[str], dict[str, Any]]:
        """Mask, translation and, where samples were drawn, deviation into the folder ``made``.

        Returns:
            What to be wary of, and what drew where.
        """
        source, written = str(verdict.modality), stage.folder.with_name("output")
        where = {"dataset_dir": str(stage.folder), "output_dir": str(written)}
        ids = {**where, "source": source, "target": target, **draws}
        warnings: list[str] = []
        # an automatic mask stays here: the bundle finds it again on the grid of its training, as it does by itself
        segmented = self.wishes.masks.identity not in (AutomaticMask.identity, NoMask.identity)
        with model.opened(**ids, **({"body_from": "mask"} if segmented else {})) as workflow:
            mask = self.wishes.masks(image, source, stage, workflow)
            if mask is not None:
                write_mask(stage.mask, mask, image.affine.numpy())
            self.listener.stage("translating")
            watch(workflow, self.listener)
            workflow.run()
            self.listener.stage("checking")
            output = _read(written / stage.scan.case / f"{target}.nii.gz", image, model)
            body = np.ones(image.shape[1:], np.uint8) if mask is None else mask
            warnings += doubts(Examined(image, output, body, verdict, target, model, workflow, self.wishes.classifier))
            effective = provenance.effective(workflow.parser)
        if segmented and not model.has("body_from"):
            warnings.append(f"{model.bundle.name} takes no mask from outside: the segmented one only lies beside")
        made.parent.mkdir()
        (written / stage.scan.case).rename(made)
        if mask is not None:
            shutil.move(stage.mask, made / MASK)
        return warnings, effective

    def _present(
        self, scan: Scan, image: MetaTensor, made: Path, record: Mapping[str, Any], warnings: list[str]
    ) -> None:
        """DICOM where DICOM came in, the picture and the record into the folder ``made``."""
        self.listener.stage("writing")
        request = record["request"]
        source, target, model = request["source"], request["target"], request["model"]
        output = nibabel.load(made / f"{target}.nii.gz")
        images = {"source": image[0].numpy(), "target": np.asanyarray(output.dataobj)}
        beside = {"mask": made / MASK, "deviation": deviation_of(made / f"{target}.nii.gz")}
        images |= {key: np.asanyarray(nibabel.load(path).dataobj) for key, path in beside.items() if path.is_file()}
        if scan.series:
            told, modality = provenance.for_dicom(record, warnings), MODALITY_OF[target]
            write_series(made / "dicom", images["target"], output.affine, scan.series, modality, told)
            validate_series(made / "dicom", images["target"], output.affine, modality)
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


def _told(error: Exception, stage: Stage | None) -> str:
    text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return stage.told(text) if stage else text
