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
from transmodal.metrics.delong import AreaDifference, delong_interval, delong_test
from transmodal.metrics.matched_copy import MatchedCopy
from transmodal.metrics.matlab import matlab_immse, matlab_psnr, matlab_ssim
from transmodal.metrics.overlap import Overlap, dice, intersection_over_union, outline_distance
from transmodal.metrics.probabilities import ProbabilityBin, brier_score, expected_calibration_error, probability_bins
from transmodal.metrics.roc import (
    Confusion,
    Rate,
    RocCurve,
    confusion,
    rates,
    roc_curve,
    wilson_interval,
    youden_threshold,
)
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
    "AreaDifference",
    "Baseline",
    "BodyMean",
    "CTSimilarity",
    "CalibrationSums",
    "CaseScores",
    "Confusion",
    "FittedBaseline",
    "Identity",
    "LookUpTable",
    "MRSimilarity",
    "MatchedCopy",
    "Measure",
    "NEARLY_IDENTICAL",
    "Overlap",
    "PSNR_CEILING",
    "ProbabilityBin",
    "Rate",
    "ReliabilityBin",
    "RocCurve",
    "Similarity",
    "SynthRAD2023",
    "SynthRAD2025",
    "Uniform",
    "area_under_curve",
    "bootstrap_interval",
    "brier_score",
    "calibration_error",
    "classification_scores",
    "confusion",
    "delong_interval",
    "delong_test",
    "dice",
    "expected_calibration_error",
    "fault_of",
    "fit_temperature",
    "fit_threshold",
    "format_table",
    "inter_slice_difference",
    "intersection_over_union",
    "log_loss",
    "matlab_immse",
    "matlab_psnr",
    "matlab_ssim",
    "mean_absolute_error",
    "multi_scale_structural_similarity",
    "normalised_cross_correlation",
    "outline_distance",
    "peak_signal_to_noise_ratio",
    "probability_bins",
    "rates",
    "reliability",
    "roc_curve",
    "similarity_to_input",
    "structural_similarity",
    "summarise",
    "unbeaten_baselines",
    "wilson_interval",
    "youden_threshold",
]
