"""Release bundles with weights: make the folder that any host can serve, check it, take weights or train them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fire

os.environ.setdefault("MONAI_FAIL_ON_DUPLICATE_CONFIG", "1")
from benchmarks import options
from contract import Bundle
from datalist import check_flags
from packing.faults import ended_by_faults
from releasing import building, checking, taking, training
from releasing.weights import FOLDER
from transmodal.errors import InputError
from verify import find_bundles


def build(
    output: str,
    bundles: str | Sequence[str] = (),
    base_url: str | None = None,
    hub: str | None = None,
    apart: bool = False,
    weights: str = str(FOLDER),
    **unknown: Any,
) -> None:
    """Pack bundles into OUTPUT, a folder that a web host, a GitHub release or the hub serves; read its README.md.

    It holds <bundle>_v<version>.zip with the weights inside and the configs that they need folded in, the weights by
    themselves, models/model_info.json, large_files.yml and hf_models/ of each bundle, index.html and SHA256SUMS.
    The same files give the same bytes. Bundles without released weights are packed as code alone.

    tools/release.py build dist
    tools/release.py build dist --base_url https://github.com/OWNER/REPO/releases/download/TAG --hub OWNER

    Args:
        output: a new folder, or one made before, to which new versions are added.
        bundles: folders or names with commas between; by default all.
        base_url: address under which the folder, or the files of a GitHub release, will be served; by default its own
            file:// address.
        hub: user or organisation of the Hugging Face hub, for hf_models/ and its commands.
        apart: keep the weights out of the zips, which then fetch them by download_large_files.
        weights: folder of the released weights, which may hold none.
    """
    with ended_by_faults(output):
        check_flags(build, unknown, {})
        folders = find_bundles(*map(str, options.listed(bundles)))
        hosting = building.Hosting(base_url, hub, options.flag("apart", apart))
        packed = building.build(Path(str(output)), [Bundle(path) for path in folders], hosting, Path(str(weights)))
        for entry in packed:
            print(f"{entry.archive}  {entry.size / 1e6:.1f} MB  {'with' if entry.record else 'without'} weights")


def check(folder: str, **unknown: Any) -> None:
    """Compare every file of a release with its checksum and each listing with its files; exit status 1 if one differs.

    Args:
        folder: that `tools/release.py build` made, here or fetched from its host.
    """
    with ended_by_faults(folder):
        check_flags(check, unknown, {})
        problems = list(checking.problems_of(Path(str(folder))))
    for problem in problems:
        print(problem)
    print(
        f"{len(problems)} problem{'s' * (len(problems) != 1)}"
        if problems
        else "whole: every file is as it was released"
    )
    sys.exit(int(bool(problems)))


def take(
    bundle: str,
    file: str,
    about: str | None = None,
    overlay: str | Sequence[str] | None = None,
    evaluation: str | Sequence[str] = (),
    weights: str = str(FOLDER),
    **ids: Any,
) -> None:
    """Put weights into weights/<bundle>/, with a record of what they are, what they need and how good they are.

    tools/release.py take ct_mr_cyclegan_translation trained/model.pt --overlay configs/small.json
        --pixdim "[3.0,3.0,-1.0]" --about about.json --evaluation mr_to_ct=eval_mr,ct_to_mr=eval_ct

    Args:
        bundle: folder or name of a bundle.
        file: its weights, at most 25 MB.
        about: JSON file with training (command, data, licence, attribution, minutes, commit), evaluation (command,
            data, commit), intended_use and limits; what it leaves out stays as it was.
        overlay: configs of the bundle that the weights need, with commas between.
        evaluation: folders that configs/evaluate.json wrote with these weights, as NAME=FOLDER with commas between.
        weights: folder of the released weights.
        ids: ids of the bundle's inference.json that the weights need over these configs.
    """
    with ended_by_faults(weights):
        named = dict(_named(str(each)) for each in options.listed(evaluation))
        overlays = None if overlay is None else [str(name) for name in options.listed(overlay)]
        home = Bundle(find_bundles(str(bundle))[0])
        told = _about(about)
        taken = taking.take(home, _file(file), Path(str(weights)), told, overlays, ids or None, named)
    print(f"{taken.file}\n{taken.record['sha256']}")


def train(
    bundle: str,
    data: str,
    output: str,
    about: str | None = None,
    overlay: str | Sequence[str] = (),
    datalist: str | None = None,
    commit: str | None = None,
    weights: str = str(FOLDER),
    **ids: Any,
) -> None:
    """Train and evaluate a bundle, and take what comes of it, as `take` does; prints every command that it runs.

    tools/make_phantom.py phantoms --cases 10
    tools/release.py train ct_mr_cyclegan_translation --data phantoms --output trained --overlay configs/small.json
        --about about.json

    Args:
        bundle: folder or name of a bundle that one training makes.
        data: its dataset_dir.
        output: folder for all that the runs write.
        about: as of `take`; command, minutes and commit are filled in.
        overlay: configs over train.json, inference.json and evaluate.json alike, with commas between.
        datalist: which cases are for what; by default they are split, and the split is written to OUTPUT/split.json.
        commit: of this checkout; by default what git tells.
        weights: folder of the released weights.
        ids: ids over these configs, such as --max_epochs 20.
    """
    with ended_by_faults(output):
        home, overlays = Bundle(find_bundles(str(bundle))[0]), [str(name) for name in options.listed(overlay)]
        listed = None if datalist is None else _file(datalist).resolve()
        places = (Path(str(path)).expanduser().resolve() for path in (data, output))
        run = training.Run(home, *places, overlays, ids, listed)
        run.check_ids()
        told = _about(about)
        made = training.train(run, str(commit) if commit else training.commit_of())
        filled = {key: {**told.get(key, {}), **getattr(made, key)} for key in ("training", "evaluation")}
        taken = taking.take(
            home, run.weights, Path(str(weights)), {**told, **filled}, overlays, run.values, made.evaluations
        )
    print(f"{taken.file}\n{taken.record['sha256']}")


def _named(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    return (name, Path(folder)) if equals else ("", Path(text))


def _about(file: str | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return dict(json.loads(_file(file).read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InputError(file, found=f"no JSON object ({error})", wanted="one", remedy="mend it") from error


def _file(path: str) -> Path:
    if Path(str(path)).is_file():
        return Path(str(path))
    raise InputError(path, found="no such file", wanted="an existing file", remedy="check the path")


if __name__ == "__main__":
    fire.Fire({"build": build, "check": check, "take": take, "train": train})
