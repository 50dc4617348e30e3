"""Operators of MONAI Deploy around a bundle: a series as a volume, its translation in floats, the synthetic series."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from monai.deploy.core import AppContext, Fragment, Image, IOType, Operator, OperatorSpec
from monai.deploy.operators import IOMapping, MonaiBundleInferenceOperator

from dicom_translation.bundles import PackedBundle
from dicom_translation.reading import chosen, volume_of
from dicom_translation.settings import Settings
from transmodal.data.layout import MODALITY_OF
from transmodal.dicom import validate_series, write_series
from transmodal.trained_range import Profile, TrainedRange, range_beside

__all__ = ["SelectedSeriesReader", "SyntheticSeriesWriter", "TranslationOperator"]

LOG = logging.getLogger(__name__)
SELECTED, IMAGE, SERIES, PRED = "study_selected_series_list", "image", "series", "pred"
BODY = "body_image"
UNKNOWN_TRAINING = "nothing is known of the images these weights were trained on"


class SelectedSeriesReader(Operator):
    """From the series that MONAI Deploy's selector found to the volume of one.

    Inputs:
        study_selected_series_list: of :class:`DICOMSeriesSelectorOperator`.
    Outputs:
        image: :class:`Image`, (slices, rows, columns) float32 in physical units.
        series: the :class:`transmodal.dicom.Series` it was read from.
    """

    def __init__(self, fragment: Fragment, *args: Any, folder: Path, settings: Settings, **kwargs: Any) -> None:
        self._folder, self._settings = folder, settings
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Name the ports."""
        spec.input(SELECTED)
        spec.output(IMAGE)
        spec.output(SERIES)

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Choose and read."""
        studies = op_input.receive(SELECTED)
        uids = {str(each.series.SeriesInstanceUID) for study in studies for each in study.selected_series}
        series, passed_over = chosen(self._folder, uids)
        for note in (*series.notes, *(f"not translated, since smaller: {other.where}" for other in passed_over)):
            LOG.warning("%s: %s", series.where, note)
        values, place = volume_of(series, MODALITY_OF[self._settings.source])
        op_output.emit(Image(values, place), IMAGE)
        op_output.emit(series, SERIES)


class TranslationOperator(MonaiBundleInferenceOperator):
    """A bundle's own preprocessing, network, inferer and postprocessing, whose result stays what it is.

    The operator it extends makes bytes of every image, as fits label maps, and has no way to set an id of the bundle's
    config, such as the direction.

    Inputs:
        image: :class:`Image`, (slices, rows, columns), with the metadata of :func:`volume_of`
            or of :class:`DICOMSeriesToVolumeOperator`.
    Outputs:
        pred: :class:`Image`, (slices, rows, columns) float32 on the same grid, HU or the documented scale of MR; its
            metadata hold ``affine`` (4, 4) to mm (RAS) and ``provenance``, what made it.
    """

    def __init__(
        self,
        fragment: Fragment,
        *args: Any,
        app_context: AppContext,
        bundle: PackedBundle,
        settings: Settings,
        **kwargs: Any,
    ) -> None:
        self._bundle, self._settings = bundle, settings
        self._ids = bundle.ids(settings)
        self._sample: Mapping[str, Any] = {}
        super().__init__(
            fragment,
            *args,
            app_context=app_context,
            input_mapping=[IOMapping(IMAGE, Image, IOType.IN_MEMORY)],
            output_mapping=[IOMapping(PRED, Image, IOType.IN_MEMORY)],
            bundle_path=bundle.root,
            **kwargs,
        )

    def _init_config(self, config_names: list[str]) -> None:
        """Lay the ids over the config once it is read, and build again what depends on them."""
        super()._init_config(config_names)
        self.parser.update(self._ids)
        self.parser.parse(True)
        names = self._bundle_config_names
        self._device = self.parser.get_parsed_content("device")
        self._inferer = self.parser.get_parsed_content(names.inferer_name)
        self._preproc = self._get_compose(names.preproc_name, ["LoadImage", "SaveImage"])
        self._postproc = self._get_compose(names.postproc_name, ["LoadImage", "SaveImage"])

    def pre_process(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        """As the bundle does; the sample is kept to be compared with the training."""
        sample = super().pre_process(data, *args, **kwargs)
        self._sample = dict(sample)
        return sample

    def _send_output(self, value: Any, name: str, metadata: Any, op_output: Any, context: Any) -> None:
        """Emit (1, columns, rows, slices) as the SDK lays out its images, and in the type that it has."""
        values = np.swapaxes(np.squeeze(np.asarray(value.cpu(), dtype=np.float32), 0), 0, 2)
        place = {"affine": value.affine.cpu().numpy(), "space": "RAS", "provenance": self._provenance()}
        op_output.emit(Image(values, place), name)

    def _provenance(self) -> dict[str, str]:
        drawn = {key: self.parser.get_parsed_content(key) for key in ("seed", "num_samples") if key in self.parser}
        set_by_hand = {key: value for key, value in self._settings.ids.items() if key not in drawn}
        told = {"created": datetime.now().astimezone().isoformat(timespec="seconds"), **self._bundle.told()}
        told |= {key: str(value) for key, value in {**drawn, **set_by_hand}.items() if value is not None}
        warnings = self._unlike_the_training()
        for warning in warnings:
            LOG.warning("%s", warning)
        return {**told, "warnings": "; ".join(warnings)} if warnings else told

    def _unlike_the_training(self) -> list[str]:
        """What of the image lies outside of what the weights were trained on, or that this is not known."""
        path, known = range_beside(self._bundle.weights), ("intensity" in self.parser and BODY in self._sample)
        if not path.is_file() or not known:
            return [UNKNOWN_TRAINING]
        modality = self._settings.source
        scale = self.parser.get_parsed_content("intensity")[modality]
        axis = self.parser.get_parsed_content("slice_axis") if "slice_axis" in self.parser else 2
        profile = Profile.of(self._sample[IMAGE], self._sample[BODY], modality, scale, axis=axis)
        return [f"unlike the training: {found}" for found in TrainedRange.load(path).warnings(profile)]


class SyntheticSeriesWriter(Operator):
    """The translation as a DICOM series in the study of its source, written whole or not at all, and read back.

    Inputs:
        image: :class:`Image` of :class:`TranslationOperator`.
        series: of :class:`SelectedSeriesReader`.
    """

    def __init__(self, fragment: Fragment, *args: Any, folder: Path, settings: Settings, **kwargs: Any) -> None:
        self._folder, self._settings = folder, settings
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Name the ports."""
        spec.input(IMAGE)
        spec.input(SERIES)

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Write and validate."""
        image, series = op_input.receive(IMAGE), op_input.receive(SERIES)
        values, place = np.swapaxes(image.asnumpy(), 0, 2), image.metadata()
        modality = MODALITY_OF[self._settings.target]
        folder = self._folder / f"synthetic_{self._settings.target}"
        application = {"application": f"{self._settings.title} {self._settings.version}".strip()}
        files = write_series(folder, values, place["affine"], series, modality, place["provenance"] | application)
        validate_series(folder, values, place["affine"], modality)
        LOG.info("%d images in %s", len(files), folder)
