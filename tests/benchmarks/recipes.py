"""What the propagator is measured against: CenterNet's decode, and the paper's recipe on dense maps.

Both are restated from their descriptions, with the same operators in the same order.
"""

import torch
import torch.nn.functional as F  # noqa: N812 (the name that PyTorch's own documentation uses)
from torch import Tensor


def scene(
    classes: int, height: int = 128, width: int = 128, *, streams: int = 1, objects: int = 12
) -> tuple[Tensor, ...]:
    """Maps with a dozen Gaussian objects over a noisy background, as a sigmoid gives them."""
    heatmap = 0.02 * torch.rand(streams, classes, height, width)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    for stream in range(streams):
        for _ in range(objects):
            label, row, column = (int(torch.randint(0, high, ())) for high in (classes, height, width))
            bump = (0.3 + 0.6 * torch.rand(())) * torch.exp(-((x - column) ** 2 + (y - row) ** 2) / 8)
            heatmap[stream, label] = torch.maximum(heatmap[stream, label], bump)
    offset = torch.rand(streams, 2, height, width)
    size = 3 + 20 * torch.rand(streams, 2, height, width)
    return heatmap, offset, size


def centernet_decode(heatmap: Tensor, offset: Tensor, size: Tensor, k: int = 100) -> Tensor:
    """CenterNet's own decode: 3 x 3 max-pool, top K per class, top K over classes, gathers."""
    B, C, _, W = heatmap.shape
    peaks = heatmap * (F.max_pool2d(heatmap, 3, stride=1, padding=1) == heatmap).float()
    scores, index = peaks.view(B, C, -1).topk(k)  # (B, C, K)
    scores, best = scores.view(B, -1).topk(k)  # (B, K)
    place = index.view(B, -1).gather(1, best)
    x, y = (place % W).float(), (place // W).float()
    dx, dy = _read(offset, place)
    w, h = _read(size, place)
    center_x, center_y = x + dx, y + dy
    corners = [center_x - w / 2, center_y - h / 2, center_x + w / 2, center_y + h / 2]
    return torch.stack([*corners, scores, (best // k).float()], dim=2)


class DenseRecipe:
    """Eqs. 2-7 on whole maps (Sec. 4.1): scatter, dilating max-pool with indices, gathers, larger peak window, NMS."""

    def __init__(self, radius: int = 2, alpha: float = 0.98, beta: float = 2.0) -> None:
        self.radius, self.alpha, self.beta = radius, alpha, beta
        self.points: tuple[Tensor, ...] | None = None  # flat index, score, length, size

    def __call__(self, heatmap: Tensor, offset: Tensor, size: Tensor) -> Tensor:
        B, C, H, W = heatmap.shape
        window = 2 * self.radius + 1
        length = torch.zeros(B, C, H, W)
        sizes = size.unsqueeze(1).expand(B, C, 2, H, W)
        balanced = heatmap
        if self.points is not None:
            cells, score, age, extent = self.points
            score_map, age_map = (torch.zeros(B, C * H * W).scatter(1, cells, field) for field in (score, age))
            extent_maps = [torch.zeros(B, C * H * W).scatter(1, cells, extent[..., side]) for side in (0, 1)]
            prior, index = F.max_pool2d(
                score_map.view(B, C, H, W), window, stride=1, padding=self.radius, return_indices=True
            )
            flat = index.flatten(2)
            length, *extents = (
                field.view(B, C, -1).gather(2, flat).view(B, C, H, W) for field in (age_map, *extent_maps)
            )
            average = (heatmap + self.beta * prior * length) / (1 + self.beta * length)
            balanced = (1 - self.alpha) * heatmap + self.alpha * average
            blend = (heatmap.unsqueeze(2) * sizes + prior.unsqueeze(2) * torch.stack(extents, 2)) / (
                heatmap + prior
            ).unsqueeze(2)
            sizes = torch.where((prior > 0).unsqueeze(2), blend, sizes)
        peaks = balanced * (F.max_pool2d(balanced, window, stride=1, padding=self.radius) == balanced).float()
        scores, cells = peaks.flatten(1).topk(100)
        label, place = cells // (H * W), cells % (H * W)
        x, y = (place % W).float(), (place // W).float()
        dx, dy = _read(offset, place)
        extent = torch.stack([sizes[:, :, side].flatten(1).gather(1, cells) for side in (0, 1)], dim=2)
        center = torch.stack([x + dx, y + dy], dim=2)
        boxes = torch.cat([center - extent / 2, center + extent / 2], dim=2)
        kept = _nms_loop(boxes[0], scores[0], label[0])
        age = length.flatten(1).gather(1, cells) + 1
        self.points = (cells[:, kept], scores[:, kept], age[:, kept], extent[:, kept])
        return boxes[:, kept]


def _read(maps: Tensor, place: Tensor) -> tuple[Tensor, ...]:
    """Read the channels of (B, 2, H, W) at flat positions (B, K)."""
    return maps.flatten(2).gather(2, place.unsqueeze(1).expand(-1, 2, -1)).unbind(1)


def _nms_loop(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float = 0.3) -> list[int]:
    """The textbook loop over boxes that come by falling score, a class at a time."""
    kept: list[int] = []
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    for i in range(len(boxes)):
        if scores[i] < 0.05:
            break
        same = [j for j in kept if labels[j] == labels[i]]
        low, high = torch.maximum(boxes[i, :2], boxes[same, :2]), torch.minimum(boxes[i, 2:], boxes[same, 2:])
        inter = (high - low).clamp(min=0).prod(1)
        if not (inter / (area[i] + area[same] - inter) > threshold).any():
            kept.append(i)
    return kept
