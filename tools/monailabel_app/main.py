"""MONAI Label app that serves every packed bundle of a folder, offline: one image goes in, its translation comes out.

MONAI Label finds the class below by its base class; `tools/label.py` starts a server with it.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from lib import doors, privacy, stopping
from lib.bundles import find_bundles
from lib.infer import BundleTranslation
from lib.train import BundleTraining
from lib.turns import in_turns
from monailabel.config import settings
from monailabel.datastore.local import LocalDatastore
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.utils.sessions import Sessions

logger = logging.getLogger(__name__)
WATCHING = ("refresh", "_on_any_event", "_on_modify_event")
"""Of a datastore, what is called beside the requests when its folder changes, and empties its list to fill it anew."""
ASKED = (
    *("add_image", "remove_image", "save_label", "remove_label", "update_image_info", "update_label_info"),
    *("list_images", "get_labeled_images", "get_unlabeled_images", "get_labels_by_image_id", "datalist", "status"),
    *("get_image_uri", "get_image_info", "get_label_uri", "get_label_info", "get_dataset_archive", "json"),
)
Studies = in_turns(LocalDatastore, (*WATCHING, *ASKED))


class TranslationApp(MONAILabelApp):
    """Every bundle of ``--conf bundles DIR`` under its own name, all or those of ``--conf models NAME,NAME``.

    If the folder or a bundle in it cannot be served, or weights do not fit, the process ends in words that say so.

    Args:
        app_dir: this folder; zips are unpacked into its ``model`` folder.
        studies: folder or DICOMweb address of the images.
        conf: what ``--conf`` said.
    """

    def __init__(self, app_dir: str, studies: str, conf: Mapping[str, str]) -> None:
        privacy.keep_to_ourselves()
        try:
            self.bundles = find_bundles(conf.get("bundles", ""), Path(app_dir) / "model", conf.get("models", ""))
            super().__init__(
                app_dir=app_dir,
                studies=studies,
                conf=dict(conf),
                name="Image translation",
                description="Synthetic images, not for diagnosis: research only",
            )
        except ValueError as fault:
            stopping.end_before_the_start(fault)

    def init_datastore(self) -> Datastore:
        """The images of a folder, or of an address."""
        if self.studies.startswith(("http://", "https://")):
            return super().init_datastore()
        return Studies(
            self.studies,
            extensions=settings.MONAI_LABEL_DATASTORE_FILE_EXT,
            auto_reload=settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD,
            read_only=settings.MONAI_LABEL_DATASTORE_READ_ONLY,
        )

    def _load_sessions(self, load: bool = False) -> Sessions | None:
        """Images of sessions are kept with the other temporary ones, unless somebody said where."""
        place = settings.MONAI_LABEL_SESSION_PATH or str(Path(tempfile.gettempdir()) / "sessions")
        return Sessions(place, settings.MONAI_LABEL_SESSION_EXPIRY) if load else None

    def init_infers(self) -> dict[str, InferTask]:
        """A task for each bundle; its weights are checked now, not at the first request."""
        return {name: BundleTranslation(bundle, self.conf) for name, bundle in self.bundles.items()}

    def init_trainers(self) -> dict[str, TrainTask]:
        """A training for each bundle that has one."""
        tasks = {name: BundleTraining(str(bundle), self.conf) for name, bundle in self.bundles.items()}
        return {name: task for name, task in tasks.items() if task.is_valid()}

    def infers(self) -> Mapping[str, InferTask]:
        """The tasks of inference by the names of their bundles."""
        return dict(self._infers)

    def trainers(self) -> Mapping[str, TrainTask]:
        """The trainings by the names of their bundles."""
        return dict(self._trainers)

    def scoring_methods(self) -> Mapping[str, object]:
        """The methods of scoring by their names."""
        return dict(self._scoring_methods)

    def next_sample(self, request: dict[str, Any]) -> dict[str, Any]:
        """The image to look at next.

        Raises:
            HTTPException: status 404, if there is no such strategy.
        """
        if (strategy := request.get("strategy")) not in self._strategies:
            raise HTTPException(404, f"no strategy {strategy}; there is {', '.join(self._strategies) or 'none'}")
        return dict(super().next_sample({"strategy": strategy}))

    def server_mode(self, mode: bool) -> None:
        """Called once the server runs, and not in the processes that train."""
        super().server_mode(mode)
        if mode:
            from monailabel.app import app as server  # imports this module's app where it is not the server

            doors.guard(server, self.conf.get("hosts", ""))
            doors.check_requests(self)
            stopping.stop_children_too()
        logger.info("Serving %s", ", ".join(self.bundles))
