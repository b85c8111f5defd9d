"""Train CenterNet; extra ``train`` (Lightning, TensorBoard)."""

try:  # to say what to install before anything else fails
    import lightning  # noqa: F401
    import tensorboard  # noqa: F401
    import yaml  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"heatprop.centernet.training needs Lightning, TensorBoard and PyYAML ({error}): pip install 'heatprop[train]'",
        name=error.name,
    ) from error

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
