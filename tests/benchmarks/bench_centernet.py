"""CenterNet's forward against its own bare body, stage by stage, and the two operators against each other."""

import torch
import torchvision
from measure import milliseconds, table

from heatprop.centernet import CenterNet, deformable_conv2d

LIMIT = 1.35  # issue 5: forward of ResNet-101 at 512 x 512 against its bare body


def forwards() -> str:
    rows = []
    for backbone, side in (("resnet101", 512), ("resnet18", 512), ("resnet18", 128)):
        model, images = CenterNet(30, backbone=backbone).eval(), torch.randn(1, 3, side, side)
        times = milliseconds(
            {"body": lambda model=model, images=images: model.backbone(images), "all": lambda m=model, i=images: m(i)},
            rounds=8,
            seconds=0,
        )
        ratio = times["all"] / times["body"]
        limit = f"{LIMIT}" if backbone == "resnet101" else ""
        rows.append(
            [f"{backbone}, {side} x {side}", f"{times['body']:.1f}", f"{times['all']:.1f}", f"{ratio:.2f}", limit]
        )
    return table(["network", "bare body, ms", "whole forward, ms", "ratio", "limit"], rows)


def stages() -> str:
    model, images = CenterNet(30).eval(), torch.randn(1, 3, 512, 512)
    inputs = [model.backbone(images)[-1]]
    for stage in model.neck.stages:
        inputs.append(stage(inputs[-1]))
    functions = {}
    for number, (stage, features) in enumerate(zip(model.neck.stages, inputs[:3], strict=True)):
        convolved = stage.conv(features)
        shape = f"{features.shape[1]} x {features.shape[2]} x {features.shape[3]}"
        functions[f"deformable convolution {number}, {shape}"] = lambda s=stage, f=features: s.conv(f)
        functions[f"transposed convolution {number}"] = lambda s=stage, f=convolved: s.up(f)
    functions["heads, 64 x 128 x 128"] = lambda: model.heads(inputs[3])
    times = milliseconds(functions, rounds=8, seconds=0.02)
    return table(["part of resnet101 at 512 x 512", "ms"], [[name, f"{time:.1f}"] for name, time in times.items()])


def operators() -> str:
    rows = []
    for channels, out, side in ((2048, 256, 16), (256, 128, 32), (128, 64, 64)):
        features, weight = torch.randn(1, channels, side, side), torch.randn(out, channels, 3, 3)
        offset, mask = torch.randn(1, 18, side, side), torch.rand(1, 9, side, side)

        def ours(features=features, weight=weight, offset=offset, mask=mask) -> torch.Tensor:
            return deformable_conv2d(features, offset, weight, mask=mask, padding=1)

        def compiled(features=features, weight=weight, offset=offset, mask=mask) -> torch.Tensor:
            return torchvision.ops.deform_conv2d(features, offset, weight, padding=1, mask=mask)

        times = milliseconds({"ours": ours, "compiled": compiled}, rounds=8, seconds=0.02)
        share = f"{times['ours'] / times['compiled']:.2f}"
        rows.append(
            [f"{channels} x {side} x {side} to {out}", f"{times['ours']:.1f}", f"{times['compiled']:.1f}", share]
        )
    return table(["deformable convolution", "plain torch, ms", "torchvision, ms", "of torchvision"], rows)


if __name__ == "__main__":
    torch.set_num_threads(2)
    torch.manual_seed(0)
    with torch.inference_mode():
        for part in (forwards, stages, operators):
            print(part(), end="\n\n", flush=True)
