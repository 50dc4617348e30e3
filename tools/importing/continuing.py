"""A published training that goes on as one of a bundle."""

from __future__ import annotations

import importlib
from pathlib import Path

from monai.bundle import ConfigParser

from importing.layers import importing_bundle
from importing.writing import check_new, write_overlay
from transmodal.checkpoints import write_checkpoint
from transmodal.errors import InputError
from transmodal.handlers import training_state

TRAINING = "configs/train.json"


def continue_training(bundle: str | Path, file: str | Path, output_dir: str | Path, force: bool = False) -> str:
    """Make a published training one of this bundle, which goes on where the other stopped.

    The bundle's ``<method>_bundle/continuing.py`` reads the file, tells its settings, and restores the objects that
    `transmodal.handlers.Resume` keeps in ``configs/train.json``.

    Args:
        bundle: the bundle's folder or name.
        file: the published training.
        output_dir: the ``output_dir`` of the training to come; gets the file to resume from and an overlay with the
            settings of the published training.
        force: replace files that are there.
    Returns:
        The report, and the command that trains on.
    Raises:
        InputError: if the bundle continues no trainings, the file does not match whole, or an output is there.
    """
    home, output_dir = importing_bundle(bundle), Path(output_dir).resolve()
    if not (home.root / home.package / "continuing.py").is_file():
        raise InputError(
            bundle,
            found=f"no {home.package}/continuing.py",
            wanted="a bundle that continues published trainings",
            remedy="import weights alone, by ROLE=FILE",
        )
    with home.importable():
        continuing = importlib.import_module(f"{home.package}.continuing")
        training = continuing.read(file)
        settings = continuing.settings(training)
        parser = ConfigParser()
        parser.read_config(str(home.root / TRAINING))
        for key, value in {**settings, "output_dir": str(output_dir), "device": "cpu"}.items():
            parser[key] = value
        handlers = enumerate(parser["train#handlers"])
        number = next(n for n, each in handlers if isinstance(each, dict) and each["_target_"].endswith(".Resume"))
        resume, overlay = Path(parser.get_parsed_content(f"train#handlers#{number}#path")), output_dir / "continue.json"
        check_new([resume, overlay], force)
        state = parser.get_parsed_content(f"train#handlers#{number}#state")
        report = continuing.restore(training, state)
    epoch_length = max(1, training.global_step // max(1, training.epoch))
    note = f"Settings of the published training that goes on after {training.epoch} epochs."
    write_overlay(overlay, {"_desc_": note, **settings, "output_dir": str(output_dir)})
    write_checkpoint(training_state(state, training.epoch, epoch_length), resume)
    run = f"in {home.root}:\n  python -m monai.bundle run --config_file \"['{TRAINING}','{overlay}']\""
    return "\n".join([*report, f"wrote {resume} and {overlay}", f"train on after epoch {training.epoch} {run}"])
