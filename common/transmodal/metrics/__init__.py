"""How good a translation is: the SynthRAD measures, our protocols per target modality, baselines and statistics."""

from transmodal.metrics.baselines import Baseline, BodyMean, FittedBaseline, Identity, LookUpTable, Uniform
from transmodal.metrics.calibration import CalibrationSums, ReliabilityBin, calibration_error, reliability
from transmodal.metrics.classification import (
    area_under_curve,
    bootstrap_interval,
    classification_scores,
    fit_temperature,
    fit_threshold,
    log_loss,
)
from transmodal.metrics.matched_copy import MatchedCopy
from transmodal.metrics.matlab import matlab_immse, matlab_psnr, matlab_ssim
from transmodal.metrics.overlap import Overlap, dice, intersection_over_union, outline_distance
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
    "Overlap",
    "PSNR_CEILING",
    "ReliabilityBin",
    "Similarity",
    "SynthRAD2023",
    "SynthRAD2025",
    "Uniform",
    "area_under_curve",
    "bootstrap_interval",
    "calibration_error",
    "classification_scores",
    "dice",
    "fault_of",
    "fit_temperature",
    "fit_threshold",
    "format_table",
    "inter_slice_difference",
    "log_loss",
    "intersection_over_union",
    "matlab_immse",
    "matlab_psnr",
    "matlab_ssim",
    "mean_absolute_error",
    "multi_scale_structural_similarity",
    "normalised_cross_correlation",
    "outline_distance",
    "peak_signal_to_noise_ratio",
    "reliability",
    "similarity_to_input",
    "structural_similarity",
    "summarise",
    "unbeaten_baselines",
]
