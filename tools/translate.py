"""From a raw scan to its translation: a file, a folder of files or a folder of DICOM, CT to MR or MR to CT."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fire
from tqdm import tqdm

os.environ.setdefault("MONAI_FAIL_ON_DUPLICATE_CONFIG", "1")
from benchmarks import options
from releasing.weights import released_beside
from translating.inputs import LeftOut, find_scans
from translating.masks import AutomaticMask, MaskMaker, NoMask, SegmentedMask
from translating.model import model_of
from translating.models import Models
from translating.pipeline import Pipeline, Wishes
from translating.request import Choice, Request
from translating.summary import Outcome, line_of, report, status_of
from transmodal.errors import InputError
from transmodal.files import sha256_of
from transmodal.modality import ModalityClassifier
from verify import ROOT

CLASSIFIER = ROOT / "bundles" / "ct_mr_modality_classification" / "models" / "model.pt"
PATHS = ("input", "output", "bundle", "ckpt_path", "classifier", "segmentation", "segmentation_ckpt")
"""Options that are names, and stay as they are written, also where fire would take them for numbers."""


def translate(
    source: str | Path, pipeline: Pipeline, series: str | int | None = None
) -> tuple[list[Outcome], list[LeftOut]]:
    """Translate every scan of an input, telling each as it is done.

    Args:
        source: a file or a folder; see :func:`translating.inputs.find_scans`.
        pipeline: what takes one scan.
        series: the only DICOM series that is wanted.
    Returns:
        What became of each scan, and what of the input is no scan.
    Raises:
        InputError: if the input holds nothing that can be translated.
    """
    scans, left_out = find_scans(source, series, apart=pipeline.output)
    outcomes: list[Outcome] = []
    for scan in tqdm(scans, desc="cases", unit="case", disable=None if len(scans) > 1 else True):
        told = {"", *(outcome.limits for outcome in outcomes)}
        outcomes.append(pipeline(scan))
        if (limits := outcomes[-1].limits) not in told:
            tqdm.write(f"Weights that come with the project: {limits}")
        tqdm.write(line_of(outcomes[-1], len(outcomes), len(scans)))
    return outcomes, left_out


@fire.decorators.SetParseFns(**dict.fromkeys(PATHS, str))
def main(
    input: str,
    output: str,
    to: str | None = None,
    bundle: str | None = None,
    config: str | Sequence[str] = (),
    ckpt_path: str | None = None,
    seed: int | None = None,
    samples: int | None = None,
    classifier: str | None = None,
    segmentation: str = "automatic",
    segmentation_config: str | Sequence[str] = (),
    segmentation_ckpt: str | None = None,
    series: str | int | None = None,
    force: bool = False,
    **ids: Any,
) -> None:
    """Translate scans, CT to MR and MR to CT; exit status 1 if one fails or none is translated.

    INPUT is a NIfTI, MHA, NRRD, PNG or JPEG file, or a folder: each image file below it and each CT or MR series of
    DICOM is a case. <case>/<modality> files keep the name of their case, or <case>_<modality> where it has several.
    OUTPUT/<case>/ gets <target>.nii.gz on the scan's own grid (CT in HU, MR from 0 to 1000), mask.nii.gz, qc.png to
    look at, provenance.json, and dicom/ where the scan was DICOM. What already is what --to asks for is left out.
    Finished cases are skipped when the command is given again; the result of another request needs --force.

    tools/translate.py scan.nii.gz --output results
    tools/translate.py dicom_folder --output results --to mr --bundle ct_mr_cyclegan_translation
    tools/translate.py scans --output results --bundle ct_mr_cyclegan_translation --config configs/small.json
        --ckpt_path trained/model.pt --pixdim "[3.0,3.0,-1.0]"

    Args:
        input: a file, or a folder of files or of DICOM.
        output: folder for the results.
        to: ct, mr or another domain of the config; by default MR is translated to ct and CT to mr.
        bundle: name or folder of a bundle, also of an unpacked tools/pack.py zip; by default the first with weights of
            ct_mr_syndiff_translation, ct_mr_cyclegan_translation and ct_mr_stargan_translation, own ones before those
            that come with the project.
        config: config over the bundle's inference.json that its weights need, or several with commas between.
        ckpt_path: weights in place of the bundle's models/model.pt, or of those in weights/ that come with the project
            and bring the configs that they need.
        seed: of bundles that draw at random, such as SynDiff.
        samples: number of draws whose mean is written; from two on their standard deviation is written beside.
        classifier: weights of ct_mr_modality_classification that tell CT from MR where neither header nor values do,
            and look at the output; by default those of the bundle, or in weights/, if there are any.
        segmentation: automatic (by threshold, as the bundle finds the body by itself), none, or the name or folder of a
            bundle that segments the body, whose mask is then handed to bundles that have the id body_from.
        segmentation_config, segmentation_ckpt: as config and ckpt_path, of the bundle that segments.
        series: SeriesInstanceUID or SeriesNumber of the only DICOM series to translate.
        force: replace results that are there.
        ids: --from ct (or mr, or another domain) says what every scan is, and nothing is detected; others are ids of
            the bundle's inference.json, such as --device cpu or --slice_batch 4.
    """
    model, body = Choice(bundle, config, ckpt_path), Choice(segmentation, segmentation_config, segmentation_ckpt)
    sys.exit(_run(Request(input, output, to, seed, samples, classifier, series, force, model, body, ids)))


def _run(request: Request) -> int | str:
    """Do what is asked for; the exit status, or the error."""
    chosen, ids = request.translation, request.bundle_ids
    try:
        models = Models.chosen(chosen.bundle, chosen.overlays, chosen.ckpt_path, ids)
        stated = _one_of("from", request.stated, models.modalities)
        target = models.target(stated, _one_of("to", request.to, models.modalities))
        weights = _classifier(request.classifier)
        masks = _masks(request.segmentation, {key: ids[key] for key in ("device",) if key in ids})
        for model in (*models.candidates, *([masks.model] if isinstance(masks, SegmentedMask) else [])):
            model.check()
        wishes = Wishes(
            stated=stated,
            target=target,
            seed=_whole("seed", request.seed, least=0),
            samples=_whole("samples", request.samples, least=1),
            masks=masks,
            classifier=None if weights is None else ModalityClassifier.load(weights),
            classifier_sha256=None if weights is None else sha256_of(weights),
            force=options.flag("force", request.force),
            command=request.command,
        )
        with _quiet():
            pipeline = Pipeline(models, wishes, _output(request.output, request.input))
            outcomes, left_out = translate(request.input, pipeline, request.series)
    except InputError as error:
        return str(error)
    print(f"\n{report(outcomes, left_out)}", flush=True)
    return status_of(outcomes)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep libraries from talking between the lines; what concerns a case is told with it."""
    before = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(before)


def _output(output: str, source: str) -> Path:
    """Where results go, which may lie in the input but not be it: they would be taken for scans the next time."""
    path = Path(str(output)).absolute()
    if path.resolve() == Path(str(source)).resolve():
        raise InputError("--output", found="the input itself", wanted="another folder", remedy="name a new one")
    if path.exists() and not path.is_dir():
        raise InputError(path, found="a file", wanted="a folder for the results", remedy="name another --output")
    return path


def _one_of(option: str, value: Any, choices: Sequence[str]) -> str | None:
    if value is None:
        return None
    if str(value).lower() not in choices:
        raise InputError(
            f"--{option}",
            found=repr(value),
            wanted=" or ".join(choices),
            remedy=f"write --{option} {choices[0]} or --{option} {choices[1]}",
        )
    return str(value).lower()


def _whole(option: str, value: Any, least: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(
            f"--{option}",
            found=repr(value),
            wanted=f"a whole number from {least} on",
            remedy=f"write --{option} {least}",
        )
    return value


def _classifier(file: str | None) -> Path | None:
    """The weights that are named, or the bundle's own where it has some, or those that came with the project."""
    if file is not None:
        return Path(options.file("classifier", str(file)))
    if CLASSIFIER.is_file():
        return CLASSIFIER
    came = released_beside(CLASSIFIER.parents[1])
    return came.checked() if came else None


def _masks(choice: Choice, ids: dict[str, Any]) -> MaskMaker:
    segmentation = str(choice.bundle)
    if segmentation not in ("automatic", "none", "None"):
        return SegmentedMask(model_of(segmentation, choice.overlays, choice.ckpt_path, ids))
    if choice.overlays or choice.ckpt_path is not None:
        raise InputError(
            "--segmentation_config, --segmentation_ckpt",
            found=f"--segmentation {segmentation}, which takes neither",
            wanted="the bundle that segments",
            remedy="add --segmentation ct_mr_body_segmentation, or leave them out",
        )
    return AutomaticMask() if segmentation == "automatic" else NoMask()


if __name__ == "__main__":
    fire.Fire(main)
