"""The networks of CenterNet and CenterTrack written down again, with the names that their files have.

From their sources (`resnet_dcn.py`, `pose_dla_dcn.py`, CenterTrack's `dla.py` and `base_model.py`), but with
torchvision's ResNet and deformable convolution: nothing here is code of this project.
"""

import math

import torch
import torchvision
from torch import nn
from torchvision.ops import deform_conv2d

MEAN_BGR, STD_BGR = (0.40789654, 0.44719302, 0.47026115), (0.28863828, 0.27408164, 0.27809835)


def centernet_input(frames_rgb):
    """Frames (B, 3, H, W) in 0..255 -> what CenterNet's networks are fed: BGR."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN_BGR, STD_BGR))
    return (frames_rgb.flip(1).float() / 255 - mean) / std


class Dcn(nn.Module):
    def __init__(self, incoming, outgoing):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outgoing, incoming, 3, 3) / math.sqrt(9 * incoming))
        self.bias = nn.Parameter(torch.randn(outgoing) * 0.1)
        self.conv_offset_mask = nn.Conv2d(incoming, 27, 3, padding=1)

    def forward(self, maps):
        first, second, mask = self.conv_offset_mask(maps).chunk(3, dim=1)
        offset = torch.cat([first, second], dim=1)
        return deform_conv2d(maps, offset, self.weight, self.bias, padding=1, mask=mask.sigmoid())


def head(incoming, inner, outgoing):
    return nn.Sequential(nn.Conv2d(incoming, inner, 3, padding=1), nn.ReLU(), nn.Conv2d(inner, outgoing, 1))


class ResDcn(nn.Module):
    """`resdcn_18` and its deeper kin: the keys of torchvision's ResNet, `deconv_layers` and the heads."""

    def __init__(self, depth, classes):
        super().__init__()
        body = getattr(torchvision.models, f"resnet{depth}")(weights=None)
        channels = body.fc.in_features
        for name in ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4"):
            self.add_module(name, getattr(body, name))
        layers = []
        for planes in (256, 128, 64):
            up = nn.ConvTranspose2d(planes, planes, 4, stride=2, padding=1, bias=False)
            layers += [Dcn(channels, planes), nn.BatchNorm2d(planes), nn.ReLU(), up, nn.BatchNorm2d(planes), nn.ReLU()]
            channels = planes
        self.deconv_layers = nn.Sequential(*layers)
        self.hm, self.wh, self.reg = head(64, 64, classes), head(64, 64, 2), head(64, 64, 2)

    def forward(self, images):
        maps = torch.max_pool2d(self.bn1(self.conv1(images)).relu(), 3, 2, 1)
        maps = self.layer4(self.layer3(self.layer2(self.layer1(maps))))
        maps = self.deconv_layers(maps)
        return {"hm": self.hm(maps), "wh": self.wh(maps), "reg": self.reg(maps)}


def conv_bn_relu(incoming, outgoing, kernel, stride=1):
    convolution = nn.Conv2d(incoming, outgoing, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outgoing), nn.ReLU())


class Block(nn.Module):
    def __init__(self, incoming, outgoing, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(incoming, outgoing, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outgoing)
        self.conv2 = nn.Conv2d(outgoing, outgoing, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outgoing)

    def forward(self, maps, shortcut):
        return (self.bn2(self.conv2(self.bn1(self.conv1(maps)).relu())) + shortcut).relu()


class Root(nn.Module):
    def __init__(self, incoming, outgoing):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(incoming, outgoing, 1, bias=False), nn.BatchNorm2d(outgoing)

    def forward(self, children):
        return self.bn(self.conv(torch.cat(children, dim=1))).relu()


class Tree(nn.Module):
    """A level of DLA; `project` of a tree of trees is computed and thrown away by the original."""

    def __init__(self, depth, incoming, outgoing, stride, *, keeps_input, root_extra=0):
        super().__init__()
        self.depth, self.stride, self.keeps_input = depth, stride, keeps_input
        extra = root_extra + (incoming if keeps_input else 0)
        if depth == 1:
            self.tree1, self.tree2 = Block(incoming, outgoing, stride), Block(outgoing, outgoing, 1)
            self.root = Root(2 * outgoing + extra, outgoing)
        else:
            self.tree1 = Tree(depth - 1, incoming, outgoing, stride, keeps_input=False)
            self.tree2 = Tree(depth - 1, outgoing, outgoing, 1, keeps_input=False, root_extra=outgoing + extra)
        if incoming != outgoing:
            self.project = nn.Sequential(nn.Conv2d(incoming, outgoing, 1, bias=False), nn.BatchNorm2d(outgoing))

    def forward(self, maps, children=()):
        bottom = torch.max_pool2d(maps, self.stride) if self.stride > 1 else maps
        if self.keeps_input:
            children = [*children, bottom]
        if self.depth > 1:
            first = self.tree1(maps)
            return self.tree2(first, [*children, first])
        first = self.tree1(maps, self.project(bottom) if hasattr(self, "project") else bottom)
        return self.root([self.tree2(first, first), first, *children])


class Dla34(nn.Module):
    def __init__(self, *, tracking):
        super().__init__()
        self.base_layer = conv_bn_relu(3, 16, 7)
        self.level0, self.level1 = conv_bn_relu(16, 16, 3), conv_bn_relu(16, 32, 3, 2)
        self.level2 = Tree(1, 32, 64, 2, keeps_input=False)
        self.level3 = Tree(2, 64, 128, 2, keeps_input=True)
        self.level4 = Tree(2, 128, 256, 2, keeps_input=True)
        self.level5 = Tree(1, 256, 512, 2, keeps_input=True)
        self.fc = nn.Conv2d(512, 1000, 1)
        if tracking:
            self.pre_img_layer, self.pre_hm_layer = conv_bn_relu(3, 16, 7), conv_bn_relu(1, 16, 7)

    def forward(self, images):
        maps, levels = self.base_layer(images), []
        for number in range(6):
            maps = getattr(self, f"level{number}")(maps)
            levels.append(maps)
        return levels


class DeformConv(nn.Module):
    def __init__(self, incoming, outgoing):
        super().__init__()
        self.actf = nn.Sequential(nn.BatchNorm2d(outgoing), nn.ReLU())
        self.conv = Dcn(incoming, outgoing)

    def forward(self, maps):
        return self.actf(self.conv(maps))


class IdaUp(nn.Module):
    def __init__(self, outgoing, incoming, factors):
        super().__init__()
        for i in range(1, len(incoming)):
            f = factors[i]
            up = nn.ConvTranspose2d(outgoing, outgoing, 2 * f, f, f // 2, groups=outgoing, bias=False)
            self.add_module(f"proj_{i}", DeformConv(incoming[i], outgoing))
            self.add_module(f"up_{i}", up)
            self.add_module(f"node_{i}", DeformConv(outgoing, outgoing))

    def forward(self, layers, start, end):
        """Changes the list in place, as the original does."""
        for i in range(start + 1, end):
            part = {name: getattr(self, f"{name}_{i - start}") for name in ("proj", "up", "node")}
            layers[i] = part["node"](part["up"](part["proj"](layers[i])) + layers[i - 1])


class DlaUp(nn.Module):
    """Three steps, which the tables below spell out: (outgoing, incoming channels, factors)."""

    def __init__(self):
        super().__init__()
        self.ida_0 = IdaUp(256, (256, 512), (1, 2))
        self.ida_1 = IdaUp(128, (128, 256, 256), (1, 2, 2))
        self.ida_2 = IdaUp(64, (64, 128, 128, 128), (1, 2, 2, 2))

    def forward(self, layers):
        found = [layers[-1]]
        for i, ida in enumerate((self.ida_0, self.ida_1, self.ida_2)):
            ida(layers, len(layers) - i - 2, len(layers))
            found.insert(0, layers[-1])
        return found


class DlaSeg(nn.Module):
    """CenterNet's `dla_34`, or with `tracking` CenterTrack's, whose layers for the frame before stay unused here."""

    def __init__(self, classes, *, tracking=False):
        super().__init__()
        self.base, self.dla_up = Dla34(tracking=tracking), DlaUp()
        self.ida_up = IdaUp(64, (64, 128, 256), (1, 2, 4))
        self.hm, self.wh, self.reg = head(64, 256, classes), head(64, 256, 2), head(64, 256, 2)
        if tracking:
            self.tracking, self.ltrb_amodal = head(64, 256, 2), head(64, 256, 4)

    def forward(self, images):
        merged = self.dla_up(self.base(images))[:3]
        self.ida_up(merged, 0, 3)
        return {"hm": self.hm(merged[-1]), "wh": self.wh(merged[-1]), "reg": self.reg(merged[-1])}


def randomized(network):
    """Weights that use every path: moves of about a cell, statistics and biases that are not zero and one."""
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif name.endswith(("running_mean", "bias")):
                value.normal_(0, 0.1)
            elif "conv_offset_mask.weight" in name:
                value.normal_(0, 0.3 / math.sqrt(value[0].numel()))
            elif value.dim() == 4:
                value.normal_(0, math.sqrt(2 / value[0].numel()))
    return network.eval()
