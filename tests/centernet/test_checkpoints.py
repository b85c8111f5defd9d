"""Loading weights: original names, our own files, averages, and files that do not fit."""

import functools
import pickle

import pytest
import torch

from heatprop.centernet import CenterNet, load_checkpoint

CLASSES = 7


def original_resdcn_18():
    return dict(original_resdcn_18_items())


@functools.cache
def original_resdcn_18_items():
    """Names and shapes of `resdcn_18` as `resnet_dcn.py` makes them, by hand, with random weights."""
    shapes = {"conv1.weight": (64, 3, 7, 7)} | norm("bn1", 64)
    incoming = 64
    for number, planes in enumerate((64, 128, 256, 512), 1):
        for block in (0, 1):
            place = f"layer{number}.{block}"
            shapes |= {f"{place}.conv1.weight": (planes, incoming if block == 0 else planes, 3, 3)}
            shapes |= {f"{place}.conv2.weight": (planes, planes, 3, 3)}
            shapes |= norm(f"{place}.bn1", planes) | norm(f"{place}.bn2", planes)
        if number > 1:
            shapes |= {f"layer{number}.0.downsample.0.weight": (planes, incoming, 1, 1)}
            shapes |= norm(f"layer{number}.0.downsample.1", planes)
        incoming = planes
    for place, planes in ((0, 256), (6, 128), (12, 64)):
        shapes |= {f"deconv_layers.{place}.weight": (planes, incoming, 3, 3), f"deconv_layers.{place}.bias": (planes,)}
        shapes |= {f"deconv_layers.{place}.conv_offset_mask.weight": (27, incoming, 3, 3)}
        shapes |= {f"deconv_layers.{place}.conv_offset_mask.bias": (27,)}
        shapes |= norm(f"deconv_layers.{place + 1}", planes) | norm(f"deconv_layers.{place + 4}", planes)
        shapes |= {f"deconv_layers.{place + 3}.weight": (planes, planes, 4, 4)}
        incoming = planes
    for head, channels in (("hm", CLASSES), ("wh", 2), ("reg", 2)):
        shapes |= {f"{head}.0.weight": (64, 64, 3, 3), f"{head}.0.bias": (64,)}
        shapes |= {f"{head}.2.weight": (channels, 64, 1, 1), f"{head}.2.bias": (channels,)}
    return {name: torch.rand(shape) for name, shape in shapes.items()}.items()


def norm(name, channels):
    """PyTorch 0.4, which trained some of the published weights, did not count the batches yet."""
    return {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}


@pytest.fixture(scope="module")
def model():
    """Every test loads into it, or is refused and leaves it as it was."""
    return CenterNet(CLASSES, backbone="resnet18")


def saved(tmp_path, content, **options):
    torch.save(content, tmp_path / "weights.pth", **options)
    return tmp_path / "weights.pth"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A file of `resdcn_18`, for tests that load it and leave it."""
    return saved(tmp_path_factory.mktemp("original"), {"state_dict": original_resdcn_18()})


# --- CenterNet's names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [True, False])
def test_every_original_name_finds_its_place(tmp_path, model, zipped):
    """Once in the file format of PyTorch before 1.6, in which the weights were published."""
    state = original_resdcn_18()
    content = {
        "epoch": 140,
        "state_dict": state,
        "optimizer": {"state": {0: {"step": 3}}, "param_groups": [{"lr": 0.1}]},
    }
    report = load_checkpoint(model, saved(tmp_path, content, _use_new_zipfile_serialization=zipped))
    assert report.source == "CenterNet"
    assert report.left_out == ()
    assert all(name.endswith("num_batches_tracked") for name in report.missing)
    ours = model.state_dict()
    places = {
        "layer2.0.downsample.0.weight": "backbone.layer2.0.downsample.0.weight",
        "deconv_layers.0.weight": "neck.stages.0.conv.weight",
        "deconv_layers.6.conv_offset_mask.bias": "neck.stages.1.conv.offset_conv.bias",
        "deconv_layers.7.running_var": "neck.stages.1.conv_norm.running_var",
        "deconv_layers.15.weight": "neck.stages.2.up.weight",
        "deconv_layers.16.bias": "neck.stages.2.up_norm.bias",
        "hm.2.bias": "heads.heatmap.2.bias",
        "wh.0.weight": "heads.size.0.weight",
        "reg.2.weight": "heads.offset.2.weight",
    }
    for theirs, name in places.items():
        assert torch.equal(ours[name], state[theirs])
        assert report.renamed[theirs] == name
    assert torch.equal(ours["backbone.conv1.weight"], state["conv1.weight"][:, [2, 1, 0]])
    assert report.flipped
    assert len(report.matched) == len(state)


def test_without_heads_the_models_own_stay(tmp_path):
    model = CenterNet(3, backbone="resnet18", head_channels=32)
    before = {name: value.clone() for name, value in model.state_dict().items() if name.startswith("heads.")}
    state = original_resdcn_18()
    report = load_checkpoint(model, saved(tmp_path, {"state_dict": state}), heads=False)
    assert {name.split(".")[0] for name in report.left_out} == {"hm", "wh", "reg"}
    assert set(before) <= set(report.missing)
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert torch.equal(after["neck.stages.2.up.weight"], state["deconv_layers.15.weight"])


def test_the_report_reads_well(tmp_path, model):
    state = original_resdcn_18() | {"tracking.0.weight": torch.zeros(64, 64, 3, 3)}
    text = str(load_checkpoint(model, saved(tmp_path, {"state_dict": state})))
    assert text.splitlines()[0].endswith("weights.pth: weights of CenterTrack")
    assert f"matched: {len(state) - 1}, of which renamed: {len(state) - 1}" in text
    assert "left out: 1 (tracking.0.weight)" in text
    assert "... 22 more)" in text  # 20 norms of the body and 6 of the neck, four of which are named
    assert text.endswith("changed from BGR to RGB")


# --- what does not fit ------------------------------------------------------------------------------------------------


def assert_refused(model, path, message, **options):
    """A refusal leaves the model as it was."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        load_checkpoint(model, path, **options)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_wrong_number_of_classes_names_keys_and_shapes(original):
    message = (
        r"heads\.heatmap\.2\.weight \(hm\.2\.weight in the file\) has shape \(7, 64, 1, 1\) in the file and "
        r"\(80, 64, 1, 1\) in the model.*num_classes=7, or leave the heads out with heads=False"
    )
    assert_refused(CenterNet(80, backbone="resnet18"), original, message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "resnet34"}, r"lacks 80 of the model's weights: backbone\.layer1\.2\.conv1\.weight"),
        (
            {"backbone": "resnet50"},
            r"\(64, 64, 3, 3\) in the file and \(64, 64, 1, 1\) in the model.*with the backbone and",
        ),
        ({"deformable": "v1"}, r"\(27, 512, 3, 3\) in the file and \(18, 512, 3, 3\).*deformable=\"v2\""),
        ({"deformable": "none"}, r"no place for 6 of the file's weights: deconv_layers\.0\.conv_offset_mask"),
        ({"head_channels": 32}, r"head_channels=64"),
    ],
)
def test_another_network_is_refused(original, options, message):
    assert_refused(CenterNet(CLASSES, **({"backbone": "resnet18"} | options)), original, message)


def test_deeper_heads_are_refused(tmp_path, model):
    """CenterTrack's nuScenes networks have three convolutions in a head."""
    state = original_resdcn_18() | {"hm.4.weight": torch.zeros(7, 64, 1, 1), "hm.4.bias": torch.zeros(7)}
    assert_refused(model, saved(tmp_path, state), r"more than two convolutions \(hm\.4\.weight\), ours have two; leave")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 3}, r"must hold tensors by name.*it holds 'epoch'"),
        ([1, 2], r"must hold tensors by name.*it holds 'list'"),
        ({"other.weight": torch.zeros(2)}, r"lacks 100 of the model's weights: backbone\.conv1\.weight"),
    ],
)
def test_files_of_something_else_are_refused(tmp_path, model, content, message):
    assert_refused(model, saved(tmp_path, content), message)


class Bomb:
    """Pickled code: reading it without care makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_code_in_a_file_does_not_run(tmp_path, model):
    path = saved(tmp_path, {"state_dict": {"hm.0.weight": Bomb(tmp_path / "owned")}})
    assert_refused(model, path, "not a checkpoint of plain weights.*could run code")
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "owned"), protocol=2))
    assert_refused(model, path, "not a checkpoint of plain weights")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 half a file"])
def test_a_broken_file_is_named(tmp_path, model, content):
    (tmp_path / "half.pth").write_bytes(content)
    assert_refused(model, tmp_path / "half.pth", r"half\.pth is not a checkpoint of plain weights")


def test_half_a_checkpoint_is_named(tmp_path, model):
    path = saved(tmp_path, model.state_dict())
    path.write_bytes(path.read_bytes()[:100_000])
    assert_refused(model, path, r"weights\.pth is not a checkpoint of plain weights")


def test_a_missing_file_is_a_missing_file(tmp_path, model):
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        load_checkpoint(model, tmp_path / "none.pth")


# --- our own ----------------------------------------------------------------------------------------------------------


def wrapped(state, prefix):
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"state_dict": wrapped(state, "model.") | {"loss.weight": torch.ones(3)}, "loops": {}},
        lambda state: wrapped(state, "model._orig_mod."),
        lambda state: {"model_ema": wrapped(state, "module.") | {"n_averaged": torch.tensor(2)}, "model": {}},
    ],
    ids=["plain", "state_dict", "Lightning", "compiled", "averaged"],
)
def test_our_own_files_come_back_to_the_bit(tmp_path, model, wrap):
    trained = {name: value + value.ndim for name, value in model.state_dict().items()}
    report = load_checkpoint(model, saved(tmp_path, wrap(trained)))
    assert (report.source, report.missing, report.flipped) == ("heatprop", (), False)
    assert set(report.left_out) <= {"loss.weight", "n_averaged"}
    for name, value in trained.items():
        assert torch.equal(model.state_dict()[name], value), name


@pytest.mark.parametrize(("averaged", "mean"), [(True, 2.0), (False, 5.0)])
def test_averaged_weights_are_a_choice(tmp_path, model, averaged, mean):
    """Lightning's EMAWeightAveraging saves the average as the state and the raw weights beside it."""
    states = [{name: torch.full_like(value, fill) for name, value in model.state_dict().items()} for fill in (2, 5)]
    content = {"state_dict": wrapped(states[0], "model."), "current_model_state": wrapped(states[1], "model.")}
    load_checkpoint(model, saved(tmp_path, content), averaged=averaged)
    assert model.heads.size[0].weight.mean() == mean


def test_our_own_file_of_other_classes_is_refused(tmp_path, model):
    path = saved(tmp_path, CenterNet(2, backbone="resnet18").state_dict())
    assert_refused(
        model,
        path,
        r"heads\.heatmap\.2\.weight has shape \(2, 64, 1, 1\) in the file and \(7, 64, 1, 1\).*num_classes=2",
    )
    load_checkpoint(model, path, heads=False)
