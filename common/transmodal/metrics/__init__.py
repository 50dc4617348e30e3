"""How good a translation is: the SynthRAD measures, our protocols per target modality, baselines and statistics."""

from transmodal.metrics.baselines import Baseline, BodyMean, FittedBaseline, Identity, LookUpTable, Uniform
from transmodal.metrics.calibration import CalibrationSums, ReliabilityBin, calibration_error, reliability
from transmodal.metrics.matched_copy import MatchedCopy
from transmodal.metrics.similarity import (
    NEARLY_IDENTICAL,
    CTSimilarity,
    MRSimilarity,
    Similarity,
    normalised_cross_correlation,
    similarity_to_input,
)
from transmodal.metrics.slices import inter_slice_difference
from transmodal.metrics.summary import CaseScores, format_table, summarise, unbeaten_baselines
from transmodal.metrics.synthrad import (
    PSNR_CEILING,
    Measure,
    SynthRAD2023,
    SynthRAD2025,
    fault_of,
    mean_absolute_error,
    multi_scale_structural_similarity,
    peak_signal_to_noise_ratio,
    structural_similarity,
)

__all__ = [
    "Baseline",
    "BodyMean",
    "CTSimilarity",
    "CalibrationSums",
    "CaseScores",
    "FittedBaseline",
    "Identity",
    "LookUpTable",
    "MRSimilarity",
    "MatchedCopy",
    "Measure",
    "NEARLY_IDENTICAL",
    "PSNR_CEILING",
    "ReliabilityBin",
    "Similarity",
    "SynthRAD2023",
    "SynthRAD2025",
    "Uniform",
    "calibration_error",
    "fault_of",
    "format_table",
    "inter_slice_difference",
    "mean_absolute_error",
    "multi_scale_structural_similarity",
    "normalised_cross_correlation",
    "peak_signal_to_noise_ratio",
    "reliability",
    "similarity_to_input",
    "structural_similarity",
    "summarise",
    "unbeaten_baselines",
]
