"""Training of one bundle on the images of the studies and the labels, here images too, that belong to them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.tasks.train.bundle import BundleTrainTask

from . import fields, screening, stopping
from .bundles import METADATA
from .refusals import refusal


class BundleTraining(BundleTrainTask):
    """MONAI Label's own training of a bundle, from weights that fit or none, and with an orderly end.

    ``pretrained`` decides whether it starts from the weights that are served. The best of it replaces them, whole.

    Args:
        path: the bundle's folder.
        conf: what the server was started with.
    """

    def __init__(self, path: str, conf: dict[str, str]) -> None:
        super().__init__(path, conf, load_strict=True)

    def is_valid(self) -> bool:
        """Whether the bundle has a training, and one on images: a datastore has no classes or findings to learn."""
        outputs = json.loads((Path(self.bundle_path) / METADATA).read_text(encoding="utf-8"))["network_data_format"]
        return super().is_valid() and all(output["type"] == "image" for output in outputs["outputs"].values())

    def config(self) -> dict[str, Any]:
        """What a client may choose, and no more."""
        shown = super().config()
        offered = {key: shown[key] for key in fields.TRAINING}
        return {**offered, "model_filename": ["model.pt"], "device": fields.devices()}

    def require_cases(self, request: dict[str, Any], datastore: Datastore) -> None:
        """Refuse a split without a case to train on or to validate with, by which the best weights are chosen.

        Raises:
            InputError: if there is none, or if an image or a label of one is not to be read.
        """
        cases = self._fetch_datalist({"model": "", **request}, datastore)
        parts = self._partition_datalist(cases, request) if cases else ([], [])
        if not all(parts):
            raise refusal(
                "val_split",
                f"{len(cases)} images with a final label, of which {len(parts[0])} to train on and "
                f"{len(parts[1] or [])} to validate with",
                "at least one of each",
                "label more images, or send a val_split such as 0.5",
            )
        for file in (file for case in cases for file in case.values()):
            screening.screen(file)

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train as the request says; runs in a process of its own.

        Raises:
            InputError: if the request holds a value that is not offered, or the studies too few cases.
        """
        stopping.leave_in_order()
        permitted = {"model": request.get("model", ""), **fields.training(request)}
        self.require_cases(permitted, datastore)
        return dict(super().__call__(permitted, datastore) or {})

    def _update_overrides(self, overrides: dict[str, Any]) -> None:
        # what goes on from the last time is `pretrained`; resuming would end at once after as many epochs as before
        if "resume" in self.bundle_config.config:
            overrides["resume"] = False

    def _load_checkpoint(self, model_pytorch: str, pretrained: bool, train_handlers: list[dict[str, Any]]) -> None:
        # MONAI Label 0.8.5 looks for a file named None where no pretrained weights are wanted
        if pretrained and os.path.exists(model_pytorch):
            super()._load_checkpoint(model_pytorch, True, train_handlers)
