"""Train CenterNet; extra ``train`` (Lightning, TensorBoard)."""

try:
    import lightning  # noqa: F401 # to say what to install before anything else fails
except ImportError as error:
    raise ImportError("heatprop.centernet.training needs Lightning: pip install 'heatprop[train]'") from error

from heatprop.centernet.configuration import TrainingConfig
from heatprop.centernet.training.saving import TrainedModel, load_model, save_model
from heatprop.centernet.training.session import TrainingInterrupted, TrainingResult, train

__all__ = [
    "TrainedModel",
    "TrainingConfig",
    "TrainingInterrupted",
    "TrainingResult",
    "load_model",
    "save_model",
    "train",
]
