"""What happens around the iterations of an engine: averages, weights, resuming, progress, evaluation."""

from transmodal.handlers.body_mae import BodyMAE
from transmodal.handlers.calibration import UncertaintyCalibration
from transmodal.handlers.collecting import Collecting, by_case
from transmodal.handlers.ema import EMAHandler
from transmodal.handlers.figures import draw_translations
from transmodal.handlers.progress import EpochLosses, LossProgressBar, supervised_loss
from transmodal.handlers.report import EvaluationReport
from transmodal.handlers.resume import Resume, training_state
from transmodal.handlers.settings import training_settings
from transmodal.handlers.slice_view import SliceView, mid_body_view
from transmodal.handlers.study_protocol import StudyProtocol
from transmodal.handlers.trained_range import TrainedRangeWriter
from transmodal.handlers.validation import EpochValidation
from transmodal.handlers.weights import BestWeights, LastWeights

__all__ = [
    "BestWeights",
    "BodyMAE",
    "Collecting",
    "EMAHandler",
    "EpochLosses",
    "EpochValidation",
    "EvaluationReport",
    "LastWeights",
    "LossProgressBar",
    "Resume",
    "SliceView",
    "StudyProtocol",
    "TrainedRangeWriter",
    "UncertaintyCalibration",
    "by_case",
    "draw_translations",
    "mid_body_view",
    "supervised_loss",
    "training_settings",
    "training_state",
]
