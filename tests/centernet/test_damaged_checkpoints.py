"""Damaged and evil files: one sentence, whatever their bytes lead to, and an untouched model."""

import random
import zipfile

import pytest
import torch

from heatprop.centernet import CenterNet, load_checkpoint

REFUSED = r"weights\.pth is not a checkpoint of plain weights"


@pytest.fixture(scope="module")
def model():
    return CenterNet(2, backbone="resnet18", head_channels=8)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.filterwarnings("ignore::UserWarning")  # torch's, of what it reads out of noise
def test_noise_in_a_file_is_a_value_error_or_nothing(tmp_path, model, zipped, seed):
    """40 files each, most of them with bytes overwritten where the names and types are."""
    path, noise = tmp_path / "weights.pth", random.Random(seed)
    torch.save({"state_dict": {"hm.0.weight": torch.ones(3)}, "epoch": 1}, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for _ in range(40):
        changed = bytearray(whole[: noise.choice([len(whole), noise.randrange(len(whole))])])
        for _ in range(noise.choice([1, 2, 8])):
            if changed:
                changed[noise.randrange(len(changed))] = noise.randrange(256)
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"weights\.pth (is not a checkpoint|must hold|does not fit)"):
            load_checkpoint(model, path)


@pytest.mark.parametrize("length", [4_000, 5_000, 9_000, 20_000])
def test_the_beginning_of_a_large_file_is_refused(tmp_path, model, length):
    """Some lengths make torch seek before the file's first byte, an OSError."""
    torch.save({f"a{place}": torch.zeros(100) for place in range(40)}, tmp_path / "weights.pth")
    (tmp_path / "weights.pth").write_bytes((tmp_path / "weights.pth").read_bytes()[:length])
    with pytest.raises(ValueError, match=REFUSED):
        load_checkpoint(model, tmp_path / "weights.pth")


def test_a_folder_is_no_file(tmp_path, model):
    with pytest.raises(OSError, match="directory"):
        load_checkpoint(model, tmp_path)


def test_a_compressed_archive_that_unpacks_to_more_is_refused(tmp_path, model):
    torch.save({"state_dict": {"a": torch.zeros(1_000_000)}}, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(tmp_path / "weights.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for record in plain.infolist():
            packed.writestr(record.filename, plain.read(record))
    assert (tmp_path / "weights.pth").stat().st_size < 100_000
    with pytest.raises(ValueError, match=rf"{REFUSED}.*unpacks from \d+ to 400\d+ bytes"):
        load_checkpoint(model, tmp_path / "weights.pth")


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(1).expand(10**12),
        lambda: torch.zeros(1).as_strided((10**6, 10**6), (0, 0)),
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8),
        lambda: torch.empty(3, device="meta"),
    ],
    ids=["expanded", "strided", "sparse", "quantized", "meta"],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # torch's, of these tensors
def test_tensors_that_are_no_plain_numbers_are_refused(tmp_path, model, make):
    torch.save({"state_dict": {"hm.0.weight": make()}}, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=REFUSED):
        load_checkpoint(model, tmp_path / "weights.pth")


def test_names_that_are_no_names_are_passed_over(tmp_path, model):
    torch.save({"state_dict": {3: torch.zeros(2), (1, 2): torch.zeros(2)}}, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r"must hold tensors by name"):
        load_checkpoint(model, tmp_path / "weights.pth")


class RunsCode:
    def __reduce__(self):
        return print, ("this must not run",)


@pytest.mark.parametrize("content", ["noise", "code"])
def test_nobody_is_told_to_read_the_file_in_a_way_that_can_run_code(tmp_path, model, capsys, content):
    """torch's own message says that `weights_only=False` would help."""
    path = tmp_path / "weights.pth"
    if content == "code":
        torch.save({"state_dict": RunsCode()}, path)
    else:
        path.write_bytes(b"garbage" * 100)
    with pytest.raises(ValueError, match=REFUSED) as refused:
        load_checkpoint(model, path)
    assert "weights_only" not in str(refused.value)
    assert "safe_globals" not in str(refused.value)
    assert "Unsupported" in str(refused.value)
    assert capsys.readouterr().out == ""
