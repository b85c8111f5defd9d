"""ResNet without its classifier; parameters have torchvision's names, so torchvision's weights load unchanged."""

from torch import Tensor, nn

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class ResNet(nn.Module):
    """The body of a ResNet: images in, the map of stride 32 out.

    Shapes for an image of 512 x 512: 64 x 256 x 256 after ``conv1``, 128 x 128 after ``maxpool`` and ``layer1``,
    64 x 64 after ``layer2``, 32 x 32 after ``layer3``, 16 x 16 after ``layer4``, with 64, 128, 256 and 512 channels in
    the four layers (four times as many from depth 50 on).

    Args:
        depth: 18, 34, 50, 101 or 152.

    Attributes:
        channels: Channels of each map that `forward` returns.
    """

    def __init__(self, depth: int) -> None:
        super().__init__()
        block = BasicBlock if depth < 50 else Bottleneck
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = 64
        for number, (count, planes) in enumerate(zip(BLOCKS[depth], (64, 128, 256, 512), strict=True), 1):
            first = block(channels, planes, stride=1 if number == 1 else 2)
            channels = planes * block.expansion
            self.add_module(
                f"layer{number}", nn.Sequential(first, *(block(channels, planes) for _ in range(count - 1)))
            )
        self.channels = (channels,)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> list[Tensor]:
        """Turn images ``(B, 3, H, W)`` into one map ``(B, channels, H / 32, W / 32)``."""
        maps = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for number in range(1, 5):
            maps = getattr(self, f"layer{number}")(maps)
        return [maps]


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions with a shortcut around them (depths 18 and 34)."""

    expansion = 1

    def __init__(self, channels: int, planes: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = _short_cut(channels, planes, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """Keep the size, or divide it by the stride."""
        inner = self.relu(self.bn1(self.conv1(maps)))
        inner = self.bn2(self.conv2(inner))
        result: Tensor = self.relu(inner + (maps if self.downsample is None else self.downsample(maps)))
        return result


class Bottleneck(nn.Module):
    """A 3 x 3 convolution between two of 1 x 1, with a shortcut around them (from depth 50 on)."""

    expansion = 4

    def __init__(self, channels: int, planes: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _short_cut(channels, planes * self.expansion, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """Keep the size, or divide it by the stride."""
        inner = self.relu(self.bn1(self.conv1(maps)))
        inner = self.relu(self.bn2(self.conv2(inner)))
        inner = self.bn3(self.conv3(inner))
        result: Tensor = self.relu(inner + (maps if self.downsample is None else self.downsample(maps)))
        return result


def _short_cut(channels: int, wanted: int, stride: int) -> nn.Sequential | None:
    """Make a 1 x 1 convolution if the shape changes, else nothing."""
    if stride == 1 and channels == wanted:
        return None
    return nn.Sequential(nn.Conv2d(channels, wanted, 1, stride=stride, bias=False), nn.BatchNorm2d(wanted))
