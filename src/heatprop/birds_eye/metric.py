"""From cells to metres, and from the car's motion to the motion of the map."""

import torch
from torch import Tensor

from heatprop.adapters.birds_eye import BirdsEyeGrid
from heatprop.structures import Detections


def metric_boxes(detections: Detections, grid: BirdsEyeGrid) -> Tensor:
    """Turn detections into boxes in space, as ``CenterHead.predict`` gives them (``box3d_lidar``).

    Args:
        detections: Of propagators whose ``stride`` is ``grid.voxels_per_cell``, with the extras of
            `heatprop.adapters.centerpoint`, shape ``(B, K)`` or ``(B, T, K)``.
        grid: Where the cells lie.

    Returns:
        ``(x, y, z, dim 0, dim 1, dim 2, vx, vy, yaw)``, shape ``(..., K, 9)``, without ``vel`` ``(..., K, 7)``, in
        metres, metres per second and radians; 0 where not valid.

    Raises:
        ValueError: If an extra is missing.
    """
    extras = detections.extras
    if missing := [name for name in ("height", "dim", "rot") if name not in extras]:
        raise ValueError(f"detections must hold the extras of adapters.centerpoint, missing {', '.join(missing)}")
    ends = detections.boxes
    x, y = ((ends[..., :2] + ends[..., 2:]) / 2).unbind(-1)  # voxels
    (across, along), (left, low) = grid.voxel_size, grid.start
    center = torch.stack([x * across + left, y * along + low], dim=-1)
    sine, cosine = extras["rot"].unbind(-1)
    yaw = torch.atan2(sine, cosine).unsqueeze(-1)
    velocity = [extras["vel"]] if "vel" in extras else []
    boxes = torch.cat([center, extras["height"], extras["dim"], *velocity, yaw], dim=-1)
    return boxes.masked_fill(~detections.valid.unsqueeze(-1), 0)


def ego_shift(motion: Tensor, grid: BirdsEyeGrid) -> Tensor:
    """Turn the car's motion into the ``shift`` of the propagators: the ground moves against it.

    Args:
        motion: Takes points of the last frame to this one, both in the sensor's own metres, shape ``(B, 4, 4)``, or of
            the ground alone ``(B, 3, 3)``. From poses of the sensor in the world it is
            ``inverse(pose now) @ pose before``.
        grid: Where the cells lie.

    Returns:
        An affine map of cells, shape ``(B, 2, 3)``: ``shift`` of `GroupedPropagator.forward`.

    Raises:
        ValueError: If ``motion`` has another shape.

    Examples:
        >>> import torch
        >>> from heatprop.birds_eye import BirdsEyeGrid, ego_shift
        >>> motion = torch.eye(4)[None].clone()
        >>> motion[0, 0, 3] = -1.6  # the car drove 1.6 m ahead: two cells of 0.8 m
        >>> ego_shift(motion, BirdsEyeGrid())
        tensor([[[ 1.,  0., -2.],
                 [ 0.,  1.,  0.]]])
    """
    if motion.dim() != 3 or tuple(motion.shape[1:]) not in ((4, 4), (3, 3)):
        raise ValueError(f"motion must have shape (B, 4, 4) or (B, 3, 3), got {tuple(motion.shape)}")
    (across, along), (left, low) = grid.cell_size, grid.start
    (xx, xy, x), (yx, yy, y) = ((row[:, 0], row[:, 1], row[:, -1]) for row in (motion[:, 0], motion[:, 1]))
    moved_x = ((xx - 1) * left + xy * low + x) / across  # exactly the way itself without a turn
    moved_y = (yx * left + (yy - 1) * low + y) / along
    rows = [torch.stack([xx, xy * (along / across), moved_x], dim=1)]
    rows.append(torch.stack([yx * (across / along), yy, moved_y], dim=1))
    return torch.stack(rows, dim=1)
