"""The graph of operators, and the command that runs it."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holoscan.conditions import CountCondition
from monai.deploy.core import AppContext, Application, init_app_context
from monai.deploy.operators import DICOMDataLoaderOperator, DICOMSeriesSelectorOperator

from dicom_translation.bundles import PackedBundle, bundle_in
from dicom_translation.operators import SelectedSeriesReader, SyntheticSeriesWriter, TranslationOperator
from dicom_translation.settings import Settings
from transmodal.errors import InputError

__all__ = ["MANIFEST", "TranslationApplication", "main"]

MANIFEST = Path(__file__).resolve().parents[1] / "app.yaml"


class TranslationApplication(Application):
    """DICOM files → studies → selected series → volume → translation → synthetic series.

    Args:
        context: folders of input, output and models.
        settings: of the manifest.
        bundle: what translates.
    """

    def __init__(
        self, context: AppContext, settings: Settings, bundle: PackedBundle, *args: Any, **kwargs: Any
    ) -> None:
        self._context, self._settings, self._bundle = context, settings, bundle
        super().__init__(*args, **kwargs)

    def compose(self) -> None:
        """Connect the operators."""
        settings, source, output = self._settings, Path(self._context.input_path), Path(self._context.output_path)
        once = CountCondition(self, 1)
        load = DICOMDataLoaderOperator(self, once, input_folder=source, must_load=False, name="load")
        select = DICOMSeriesSelectorOperator(self, rules=settings.rules(), all_matched=True, name="select")
        read = SelectedSeriesReader(self, folder=source, settings=settings, name="read")
        translate = TranslationOperator(
            self, app_context=self._context, bundle=self._bundle, settings=settings, name="translate"
        )
        write = SyntheticSeriesWriter(self, folder=output, settings=settings, name="write")
        self.add_flow(load, select, {("dicom_study_list", "dicom_study_list")})
        self.add_flow(select, read, {("study_selected_series_list", "study_selected_series_list")})
        self.add_flow(read, translate, {("image", "image")})
        self.add_flow(translate, write, {("pred", "image")})
        self.add_flow(read, write, {("series", "series")})


def main(arguments: Sequence[str]) -> int | str:
    """Run the application; the exit status, or what is wrong with the input.

    Args:
        arguments: the program and its options -i, -o, -m and -l. The manifest is ``HOLOSCAN_CONFIG_PATH``, which a
            package sets, or else the ``app.yaml`` beside the program.
    """
    context = init_app_context(list(arguments))
    logging.getLogger("pydicom").setLevel(logging.ERROR)  # what it says of each file is told once, of the series
    context.models = None  # the SDK takes any folder for a network that it could call; the bundle is handed over itself
    try:
        settings = Settings.read(os.environ.get("HOLOSCAN_CONFIG_PATH") or MANIFEST)
        if not Path(context.input_path).is_dir():
            found, remedy = "no such folder", "name the folder of the DICOM files with -i"
            raise InputError(context.input_path, found=found, wanted="a folder of DICOM files", remedy=remedy)
        # found before there is an application, for the SDK fails to clear away one that was not made to the end
        bundle = bundle_in(context.model_path, settings.bundle)
        TranslationApplication(context, settings, bundle).run()
    except InputError as error:
        logging.getLogger(__name__).debug("refused", exc_info=True)
        return str(error)
    return 0
