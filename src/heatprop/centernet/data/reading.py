"""Read one picture from disk with Pillow; docs/benchmarks.md compares it with other libraries."""

from os import PathLike

import numpy as np
import torch
from torch import Tensor

try:
    from PIL import Image
except ImportError as error:  # this module is the first of the package to need the extra
    raise ImportError("heatprop.centernet.data needs Pillow: pip install 'heatprop[train]'") from error


def read_picture(path: str | PathLike[str]) -> Tensor:
    """Read a JPEG or any other picture that Pillow reads, whatever its name; EXIF rotation is ignored.

    Args:
        path: The file.

    Returns:
        RGB, shape ``(3, H, W)``, ``uint8``; other colour modes are converted to RGB, without alpha.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is empty, truncated or not a picture.
    """
    try:
        with Image.open(path) as picture:
            coloured = picture if picture.mode == "RGB" else picture.convert("RGB")  # convert() always copies
            pixels = np.array(coloured)  # (H, W, 3), may be written to: torch asks for that
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} must exist, got no such file; is this the root?") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as problem:  # what its decoders raise
        raise ValueError(f"{path} must be a whole picture, got {problem}") from None
    return torch.from_numpy(pixels).permute(2, 0, 1)
