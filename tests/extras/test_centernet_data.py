"""Pictures to train on: what is read, where boxes go, what chance does, and what bad files do."""

import json
import pickle
import shutil
import warnings
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import ConcatDataset, DataLoader

Image = pytest.importorskip("PIL.Image", reason="needs heatprop[train]")

from heatprop.centernet import make_targets  # noqa: E402
from heatprop.centernet.data import (  # noqa: E402
    Augmentation,
    Collate,
    ImageNetDET,
    ImageNetVID,
    change_colours,
    collate,
    read_picture,
    sample_frames,
    sample_images,
)
from heatprop.centernet.data.augmentation import Colours, draw_colours  # noqa: E402
from heatprop.centernet.letterbox import letterbox  # noqa: E402
from heatprop.formats.imagenet_classes import VID_WNIDS  # noqa: E402
from heatprop.formats.imagenet_lists import FrameList, list_images  # noqa: E402
from heatprop.formats.imagenet_xml import AnnotatedObject, Annotation, write_annotation  # noqa: E402

WNIDS = list(VID_WNIDS)
SIZE = 64


def write(root, name, picture, objects, kind="VID"):
    """One picture, without loss (PNG, though it is called JPEG), and its annotation; objects are (wnid, box)."""
    path = root / "Data" / kind / f"{name}.JPEG"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(path, "PNG")
    annotation = root / "Annotations" / kind / f"{name}.xml"
    annotation.parent.mkdir(parents=True, exist_ok=True)
    rows = [AnnotatedObject(wnid, box, track) for track, (wnid, box) in enumerate(objects)]
    write_annotation(annotation, Annotation(picture.shape[2], picture.shape[1], rows))


def ramp(width, height):
    """A picture that says of each pixel where it is: red = x, green = y; blue marks it."""
    x, y = torch.meshgrid(torch.arange(width), torch.arange(height), indexing="xy")
    return torch.stack([x, y, torch.full_like(x, 255)]).to(torch.uint8)


OBJECTS = [
    (WNIDS[8], (20.0, 10.0, 90.0, 60.0)),
    (WNIDS[0], (0.0, 0.0, 30.0, 25.0)),
    ("n00000000", (5.0, 5.0, 50.0, 50.0)),  # none of the 30
    (WNIDS[29], (150.0, 80.0, 199.0, 119.0)),
    (WNIDS[3], (77.0, 40.0, 77.0, 90.0)),  # one pixel wide
    (WNIDS[4], (100.0, 50.0, 104.0, 57.0)),
]


@pytest.fixture(scope="module")
def ramps(tmp_path_factory):
    """Two videos of three frames of 200 x 120, every pixel of which says where it is."""
    root = tmp_path_factory.mktemp("ramps")
    for video in range(2):
        for frame in range(3):
            write(root, f"train/a/v{video}/{frame:06d}", ramp(200, 120), OBJECTS)
    return root


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Six pictures of random pixels, each with a box."""
    root = tmp_path_factory.mktemp("noise")
    generator = torch.Generator().manual_seed(3)
    for frame in range(6):
        picture = torch.randint(0, 256, (3, 40, 60), dtype=torch.uint8, generator=generator)
        write(root, f"train/v/{frame:06d}", picture, [(WNIDS[frame], (10.0 + frame, 5.0, 40.0, 30.0))])
    return root


def equal(one, other):
    return all(torch.equal(one[key], other[key]) for key in ("image", "boxes", "labels"))


# --- where boxes go ---------------------------------------------------------------------------------------------------


def line(image, channel):
    """Where in the square a pixel of the frame lies, fitted to what its pixels say of themselves: p = a * x + b."""
    axis = 0 if channel == 0 else 1
    inside = image[2] == 255
    values = np.where(inside, image[channel].astype(float), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rows without any
        said = np.nanmean(values, axis=axis)
    places = np.flatnonzero(np.isfinite(said))
    return np.polyfit(said[places], places, 1)


def oracle_boxes(image):
    """Put the corners where the picture itself says they went and clip them; label to box, one by one."""
    (ax, bx), (ay, by) = line(image, 0), line(image, 1)
    boxes = {}
    for wnid, (x1, y1, x2, y2) in OBJECTS:
        xs, ys = sorted([ax * x1 + bx, ax * x2 + bx]), sorted([ay * y1 + by, ay * y2 + by])
        box = [min(max(value, 0), SIZE) for value in (xs[0], ys[0], xs[1], ys[1])]
        if wnid in VID_WNIDS and x1 < x2 and box[0] < box[2] and box[1] < box[3]:
            boxes[WNIDS.index(wnid)] = box
    return boxes


@pytest.mark.parametrize("zoom", ["original", "continuous", "none"])
def test_boxes_go_where_their_pixels_go(ramps, zoom):
    data = ImageNetVID(ramps, size=SIZE, augmentation=Augmentation(zoom=zoom))
    seen = Counter()
    for epoch in range(12):
        data.set_epoch(epoch)
        for sample in data:
            image = sample["image"].numpy()
            expected = oracle_boxes(image)
            boxes = dict(zip(sample["labels"].tolist(), sample["boxes"].tolist(), strict=True))
            for label in {*expected, *boxes}:
                if label in expected and label in boxes:
                    np.testing.assert_allclose(boxes[label], expected[label], atol=0.5)
                else:  # a sliver that the fit and the truth disagree about
                    x1, y1, x2, y2 = boxes.get(label) or expected[label]
                    assert min(x2 - x1, y2 - y1) < 0.5
            seen["mirrored"] += line(image, 0)[0] < 0
            seen["dropped"] += len(boxes) < 4
            seen["boxes"] += len(boxes)
    assert 20 < seen["mirrored"] < 52  # of 72
    assert seen["boxes"] > 150
    assert (seen["dropped"] > 0) == (zoom != "none")


def test_without_augmentation_a_sample_is_the_letterbox(ramps):
    data = ImageNetVID(ramps, size=SIZE)
    sample = data[4]
    square, where = letterbox(ramp(200, 120)[None], SIZE)
    assert torch.equal(sample["image"], square[0])
    assert sample["where"] == where
    known = [(wnid, box) for wnid, box in OBJECTS if wnid in VID_WNIDS and box[0] < box[2]]
    assert sample["labels"].tolist() == [8, 0, 29, 4] == [WNIDS.index(wnid) for wnid, _ in known]
    torch.testing.assert_close(where.boxes(sample["boxes"]), torch.tensor([box for _, box in known]))
    assert (sample["name"], sample["index"], sample["skipped"]) == ("VID/train/a/v1/000001", 4, [])


def test_a_mirrored_sample_is_the_letterbox_of_the_mirrored_frame(ramps):
    sample = ImageNetVID(ramps, size=SIZE, augmentation=Augmentation(flip=1, zoom="none"))[0]
    square, where = letterbox(ramp(200, 120).flip(2)[None], SIZE)
    assert torch.equal(sample["image"], square[0])
    x1, y1, x2, y2 = OBJECTS[0][1]
    expected = where.letterboxed(torch.tensor([199 - x2, y1, 199 - x1, y2]))
    torch.testing.assert_close(sample["boxes"][0], expected)


def test_without_chance_an_augmentation_is_the_letterbox(ramps):
    plain, same = ImageNetVID(ramps, size=SIZE), ImageNetVID(ramps, size=SIZE, augmentation=Augmentation(0, "none"))
    assert equal(plain[0], same[0])


def original_border(side):
    """The rule of the original as a loop."""
    i = 1
    while side - 128 // i <= 128 // i:
        i *= 2
    return 128 // i


@given(width=st.integers(1, 700), height=st.integers(1, 700), seed=st.integers(0, 10**6))
def test_the_original_zoom_shows_6_to_13_tenths_about_a_pixel_far_from_the_border(width, height, seed):
    _, where = Augmentation().draw_place(width, height, 512, np.random.default_rng(seed))
    zoom = 512 / where.scale / max(width, height)
    assert any(abs(zoom - step / 10) < 1e-9 for step in range(6, 14))
    centre = (256 - where.left) / where.scale, (256 - where.top) / where.scale
    for place, side in zip(centre, (width, height), strict=True):
        border = original_border(side)
        assert abs(place - round(place)) < 1e-6
        assert border <= round(place) < side - border


def test_the_continuous_zoom_fills_its_range():
    rng = np.random.default_rng(0)
    places = [Augmentation(zoom="continuous").draw_place(400, 300, 512, rng)[1] for _ in range(500)]
    zooms = np.array([512 / 400 / where.scale for where in places])
    assert 0.6 <= zooms.min() < 0.61
    assert 1.39 < zooms.max() <= 1.4
    centres = np.array([(256 - where.left) / where.scale for where in places])
    assert 128 <= centres.min() < 131
    assert 269 < centres.max() <= 272
    assert len(set(zooms.tolist())) == 500


# --- colours ----------------------------------------------------------------------------------------------------------


def oracle_colours(image, change):
    """The original's steps on floats of 0 to 1 in the order B, G, R, pixel by pixel; its constants as it has them."""
    values = np.array([0.2141788, 0.01817699, 0.00341571])
    vectors = np.array(
        [
            [-0.58752847, -0.69563484, 0.41340352],
            [-0.5832747, 0.00994535, -0.81221408],
            [-0.56089297, 0.71832671, 0.41158938],
        ]
    )
    picture = image.numpy()[::-1].transpose(1, 2, 0).astype(float) / 255
    grey = picture @ [0.114, 0.587, 0.299]
    mean = grey.mean()
    for name, share in zip(change.order, change.shares, strict=True):
        for y in range(picture.shape[0]):
            for x in range(picture.shape[1]):
                other = {"brightness": 0, "contrast": mean, "saturation": grey[y, x]}[name]
                picture[y, x] = picture[y, x] * share + other * (1 - share)
    picture = picture + vectors @ (values * change.light)
    return picture[..., ::-1].transpose(2, 0, 1) * 255


@pytest.mark.parametrize("seed", range(4))
def test_colours_change_as_in_the_original(seed):
    image = torch.randint(0, 256, (3, 6, 7), dtype=torch.uint8)
    change = draw_colours(np.random.default_rng(seed))
    np.testing.assert_allclose(change_colours(image, change).numpy(), oracle_colours(image, change), atol=1e-3)


def test_colours_are_drawn_as_in_the_original():
    changes = [draw_colours(np.random.default_rng(seed)) for seed in range(600)]
    assert len({change.order for change in changes}) == 6
    shares = np.array([change.shares for change in changes])
    assert 0.6 <= shares.min() < 0.61
    assert 1.39 < shares.max() <= 1.4
    light = np.array([change.light for change in changes])
    assert abs(light.mean()) < 0.01
    assert abs(light.std() - 0.1) < 0.01


def test_a_sample_with_other_colours_is_float_and_its_boxes_are_the_same(noise):
    plain = ImageNetVID(noise, size=64, augmentation=Augmentation())
    other = ImageNetVID(noise, size=64, augmentation=Augmentation(colours=True))
    plain.set_epoch(0), other.set_epoch(0)
    one, two = plain[1], other[1]
    assert (one["image"].dtype, two["image"].dtype) == (torch.uint8, torch.float32)
    assert torch.equal(one["boxes"], two["boxes"])
    assert not torch.equal(one["image"].float(), two["image"])
    unchanged = Colours(("saturation", "contrast", "brightness"), (1, 1, 1), (0, 0, 0))
    assert torch.equal(change_colours(one["image"], unchanged), one["image"].float())


# --- chance -----------------------------------------------------------------------------------------------------------


def load(data, **options):
    return list(DataLoader(data, batch_size=2, collate_fn=collate, **options))


def test_an_epoch_is_the_same_with_any_number_of_workers_and_the_next_is_another(noise):
    data = ImageNetVID(noise, size=64, augmentation=Augmentation(colours=True), seed=5)
    data.set_epoch(0)
    alone = load(data)
    workers = DataLoader(data, batch_size=2, collate_fn=collate, num_workers=2, persistent_workers=True)
    first = list(workers)
    data.set_epoch(1)
    second = list(workers)  # the workers live on and hear of it
    again = load(data)
    for one, two, three, four in zip(alone, first, second, again, strict=True):
        assert equal(one, two)
        assert equal(three, four)
        assert not torch.equal(one["image"], three["image"])
    data.set_epoch(0)
    assert equal(load(data)[1], alone[1])
    other = ImageNetVID(noise, size=64, augmentation=Augmentation(colours=True), seed=6)
    other.set_epoch(0)
    assert not torch.equal(load(other)[0]["image"], alone[0]["image"])


def test_without_an_epoch_torchs_generator_is_drawn_from(noise):
    data = ImageNetVID(noise, size=64, augmentation=Augmentation(zoom="continuous"))
    torch.manual_seed(1)
    one, two = data[0], data[0]
    torch.manual_seed(1)
    three = data[0]
    assert equal(one, three)
    assert not torch.equal(one["image"], two["image"])


def test_a_data_set_can_be_pickled(noise):
    data = ImageNetVID(noise, size=64, augmentation=Augmentation())
    data.set_epoch(3)
    assert equal(pickle.loads(pickle.dumps(data))[0], data[0])


# --- bad files --------------------------------------------------------------------------------------------------------


@pytest.fixture
def bad(noise, tmp_path):
    """Pictures 1 to 4 are missing, truncated, no picture, and without a readable annotation."""
    root = tmp_path / "bad"
    shutil.copytree(noise, root)
    folder = root / "Data" / "VID" / "train" / "v"
    (folder / "000001.JPEG").unlink()
    Image.effect_noise((200, 200), 90).save(folder / "000002.JPEG", "JPEG")
    whole = (folder / "000002.JPEG").read_bytes()
    (folder / "000002.JPEG").write_bytes(whole[: len(whole) // 2])
    (folder / "000003.JPEG").write_bytes(b"nothing that anybody could read")
    (root / "Annotations" / "VID" / "train" / "v" / "000004.xml").write_text("<annotation>")
    return root


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (1, FileNotFoundError, r"Data/VID/train/v/000001\.JPEG must exist, got no such file"),
        (2, ValueError, r"Data/VID/train/v/000002\.JPEG must be a whole picture, got image file is truncated"),
        (3, ValueError, r"Data/VID/train/v/000003\.JPEG must be a whole picture, got cannot identify image"),
        (4, ValueError, r"Annotations/VID/train/v/000004\.xml, line 1, column 12: must be XML"),
    ],
)
def test_a_bad_file_is_named(bad, index, error, message):
    with pytest.raises(error, match=message):
        ImageNetVID(bad, frames=frames_of({"train/v": 6}), size=64)[index]


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_files_are_skipped_and_counted_with_workers_too(bad, workers):
    data = ImageNetVID(bad, frames=frames_of({"train/v": 6}), size=64, skip_bad=True)
    batches = load(data, num_workers=workers)
    assert [index for batch in batches for index in batch["index"].tolist()] == [0, 5, 5, 5, 5, 5]
    assert [len(batch["skipped"]) for batch in batches] == [4, 5, 1]  # 1 to 4, then 2 to 4 and 3 to 4, then 4
    assert sum("000001.JPEG" in problem for batch in batches for problem in batch["skipped"]) == 1
    assert equal(data[2], data[5])


def test_a_folder_of_bad_files_ends(bad):
    shutil.rmtree(bad / "Data" / "VID" / "train")
    data = ImageNetVID(bad, frames=frames_of({"train/v": 6}), size=64, skip_bad=True)
    with pytest.raises(ValueError, match=r"6 pictures in a row cannot be read, the first: .*000000\.JPEG must exist"):
        data[0]


@pytest.mark.parametrize("mode", ["grey", "alpha"])
def test_grey_pictures_and_those_with_alpha_are_made_rgb(tmp_path, mode):
    values = np.arange(80, dtype=np.uint8).reshape(8, 10)
    picture = Image.fromarray(values) if mode == "grey" else Image.fromarray(np.stack([values] * 4, -1), "RGBA")
    picture.save(tmp_path / "a.JPEG", "PNG")
    assert torch.equal(read_picture(tmp_path / "a.JPEG"), torch.from_numpy(values).expand(3, 8, 10))


def test_data_sets_say_what_must_hold(noise, tmp_path):
    with pytest.raises(ValueError, match="Data/VID must be a folder of pictures, got none; is this the root"):
        ImageNetVID(tmp_path, frames=frames_of({"train/v": 1}))
    with pytest.raises(ValueError, match=r"val must hold a folder per video with 000000\.xml, .*, got none"):
        ImageNetVID(noise, "val")
    with pytest.raises(ValueError, match=r"train must hold annotations, .* got none; is this the root"):
        ImageNetDET(noise)
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        ImageNetVID(noise, size=0)
    with pytest.raises(IndexError, match="index must be below 6, got 6"):
        ImageNetVID(noise)[6]
    with pytest.raises(ValueError, match="epoch must be at least 0, got -1"):
        ImageNetVID(noise).set_epoch(-1)
    with pytest.raises(ValueError, match="zoom must be 'original', 'continuous' or 'none', got 'big'"):
        Augmentation(zoom="big")
    with pytest.raises(ValueError, match="flip must be between 0 and 1, got 2"):
        Augmentation(flip=2)
    with pytest.raises(ValueError, match="samples must hold at least one sample"):
        collate([])
    with pytest.raises(ValueError, match="max_objects must be at least 1, got 0"):
        Collate(0)


# --- batches ----------------------------------------------------------------------------------------------------------


def sample_of(count, name="VID/a"):
    boxes = torch.arange(4.0 * count).reshape(count, 4)
    return {
        "image": torch.full((3, 4, 4), count, dtype=torch.uint8),
        "boxes": boxes,
        "labels": torch.arange(count),
        "index": count,
        "name": name,
        "where": letterbox(torch.zeros(1, 3, 4, 4), 4)[1],
        "skipped": ["bad"] * (count % 2),
    }


@given(counts=st.lists(st.integers(0, 9), min_size=1, max_size=5), most=st.integers(1, 9))
def test_collate_pads_and_cuts_as_a_loop_does(counts, most):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = Collate(most)([sample_of(count) for count in counts])
    N = min(max(counts), most)
    assert [tuple(batch[key].shape) for key in ("image", "boxes", "labels", "valid")] == [
        (len(counts), 3, 4, 4),
        (len(counts), N, 4),
        (len(counts), N),
        (len(counts), N),
    ]
    for row, count in enumerate(counts):
        for place in range(N):
            there = place < count
            assert batch["valid"][row, place] == there
            assert batch["labels"][row, place] == (place if there else 0)
            assert batch["boxes"][row, place].tolist() == [(4 * place + k) * there for k in range(4)]
    assert batch["index"].tolist() == counts
    assert len(batch["skipped"]) == sum(count % 2 for count in counts)


def test_more_than_128_objects_are_cut_and_that_is_said_once():
    two = Collate()
    with pytest.warns(UserWarning, match="VID/crowd has 130 objects, the first 128 are kept") as said:
        batch = two([sample_of(1), sample_of(130, "VID/crowd")])
    assert len(said) == 1
    two([sample_of(131)])  # a warning would be an error here
    assert batch["valid"].sum(dim=1).tolist() == [1, 128]
    assert batch["labels"][1].tolist() == list(range(128))


def test_it_is_said_once_for_all_workers(noise):
    two = Collate(1)
    samples = [sample_of(2)] * 4
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the workers inherit that
        list(DataLoader(samples, batch_size=2, collate_fn=two, num_workers=2))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        two(samples)
    assert not said


def test_a_batch_goes_into_targets(ramps):
    batch = load(ImageNetVID(ramps, size=SIZE, augmentation=Augmentation()))[0]
    targets = make_targets(batch["boxes"], batch["labels"], batch["valid"], num_classes=30, shape=(32, 32))
    assert 0 < targets.valid.sum() <= batch["valid"].sum()
    assert set(targets.heatmap.amax(dim=(0, 2, 3)).nonzero().flatten().tolist()) <= {0, 4, 8, 29}


def test_a_batch_of_background_goes_into_targets(tmp_path):
    for frame in range(2):
        write(tmp_path, f"train/v/{frame:06d}", ramp(20, 20), [])
    (batch,) = load(ImageNetVID(tmp_path, size=32))
    assert batch["boxes"].shape == (2, 0, 4)
    targets = make_targets(batch["boxes"], batch["labels"], batch["valid"], num_classes=30, shape=(8, 8))
    assert not targets.heatmap.any()


# --- sampling ---------------------------------------------------------------------------------------------------------


def frames_of(lengths):
    """A list of whole videos."""
    video = np.concatenate([np.full(length, place) for place, length in enumerate(lengths.values())])
    frame = np.concatenate([np.arange(length) for length in lengths.values()])
    return FrameList(list(lengths), video, frame, np.arange(1, len(frame) + 1))


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    per_video=st.integers(1, 15),
    seed=st.one_of(st.none(), st.integers(0, 99)),
)
def test_frames_are_spread_over_each_video(lengths, per_video, seed):
    frames = frames_of({f"v{place}": length for place, length in enumerate(lengths)})
    kept = sample_frames(frames, per_video, seed=seed)
    assert kept.videos == frames.videos
    for place, length in enumerate(lengths):
        chosen = kept.frame[kept.video == place].tolist()
        count = min(per_video, length)
        assert len(chosen) == count
        for part, frame in enumerate(chosen):  # one in each of equal parts, to a whole frame
            assert part * length // count <= frame < (part + 1) * length // count
    assert (np.diff(kept.frame_id) > 0).all()
    assert all(frames.frame[number - 1] == frame for number, frame in zip(kept.frame_id, kept.frame, strict=True))
    again = sample_frames(frames, per_video, seed=seed)
    assert again.frame_id.tolist() == kept.frame_id.tolist()


def test_seeds_choose_other_frames():
    frames = frames_of({"a": 300, "b": 300})
    chosen = [sample_frames(frames, seed=seed).frame.tolist() for seed in (None, 0, 1)]
    assert chosen[0] == list(range(15, 300, 30)) * 2
    assert chosen[0] != chosen[1] != chosen[2]


@given(
    images=st.lists(st.sets(st.integers(0, 3), max_size=3), max_size=30),
    per_class=st.integers(1, 6),
    seed=st.integers(0, 9),
)
def test_no_class_has_too_many_images_and_none_is_left_out_without_need(images, per_class, seed):
    labels = {str(place): some for place, some in enumerate(images)}
    chosen = sample_images(labels, per_class, seed=seed)
    count = Counter(label for name in chosen for label in labels[name])
    assert all(number <= per_class for number in count.values())
    for name, some in labels.items():
        if name not in chosen:
            assert not some or any(count[label] == per_class for label in some)
        else:
            assert some
    assert chosen == [name for name in labels if name in set(chosen)]
    assert chosen == sample_images(labels, per_class, seed=seed)


def test_rare_classes_come_first():
    labels = {f"common {place}": [0] for place in range(50)} | {f"both {place}": [0, 1] for place in range(3)}
    for seed in range(5):
        chosen = sample_images(labels, 5, seed=seed)
        assert sum(name.startswith("both") for name in chosen) == 3
        assert len(chosen) == 5


# --- the two data sets ------------------------------------------------------------------------------------------------


@pytest.fixture
def det(tmp_path):
    """Folders as in DET: one named after a wnid that is not the object's, one without objects of the 30."""
    folders = ["train/n02085620", "train/ILSVRC2014_train_0000"]
    for folder in folders:
        for number in range(4):
            objects = [(WNIDS[8], (2.0, 2.0, 20.0, 18.0)), ("n00007846", (1.0, 1.0, 9.0, 9.0))]
            write(tmp_path, f"{folder}/a_{number}", ramp(30, 20), objects, "DET")
    write(tmp_path, "train/ILSVRC2014_train_0001/b", ramp(30, 20), [("n00007846", (1.0, 1.0, 9.0, 9.0))], "DET")
    return tmp_path


def test_det_takes_the_class_from_the_object_and_leaves_other_images_out(det):
    data = ImageNetDET(det, size=32)
    assert len(data) == 8
    assert {tuple(sample["labels"].tolist()) for sample in data} == {(8,)}
    assert data[0]["name"] == "DET/train/ILSVRC2014_train_0000/a_0"
    assert len(ImageNetDET(det, per_class=None)) == 9
    assert len(list_images(det)) == 9
    few = [ImageNetDET(det, per_class=3, sample_seed=seed).names for seed in range(4)]
    assert [len(names) for names in few] == [3] * 4
    assert len({tuple(names) for names in few}) > 1
    assert ImageNetDET(det, names=["train/n02085620/a_2"]).names == ["train/n02085620/a_2"]


def test_det_counts_annotations_that_cannot_be_read(det):
    (det / "Annotations/DET/train/n02085620/a_1.xml").write_text("<annotation>")
    with pytest.raises(ValueError, match=r"a_1\.xml, line 1"):
        ImageNetDET(det)
    data = ImageNetDET(det, skip_bad=True)
    assert (len(data), data.unread.count) == (7, 1)


def test_det_of_other_classes_says_so(det):
    with pytest.raises(ValueError, match="an image must show one of the classes, none does; pass the names as classes"):
        ImageNetDET(det, classes=["face"])


def test_the_papers_data_is_both(ramps, det):
    both = ConcatDataset([ImageNetVID(ramps, size=SIZE), ImageNetDET(det, size=SIZE)])
    batches = load(both, shuffle=True)
    assert sum(len(batch["name"]) for batch in batches) == 6 + 8


def test_a_rendered_benchmark_is_read_as_rendered(tmp_path):
    pytest.importorskip("skimage", reason="needs heatprop[benchmark]")
    from heatprop.formats.imagenet import read_vid
    from heatprop.formats.imagenet_lists import read_frame_list
    from heatprop.synthetic import SceneOptions, make_benchmark

    scene = SceneOptions(size=(96, 64), frames=20, objects=(2, 3), length=(0.3, 0.5))
    list(make_benchmark(tmp_path, train=2, val=1, seed=1, scene=scene))
    assert json.loads((tmp_path / "benchmark.json").read_text())
    data = ImageNetVID(tmp_path, size=96)
    assert len(data) == 20  # 10 of each of two videos
    truth = read_vid(tmp_path, data.frames)
    for index, sample in enumerate(data):
        here = (truth.video == data.frames.video[index]) & (truth.frame == data.frames.frame[index])
        assert sample["labels"].tolist() == (truth.label[here] - 1).tolist()
        np.testing.assert_allclose(sample["where"].boxes(sample["boxes"]).numpy(), truth.box[here], atol=1e-4)
    listed = read_frame_list(tmp_path / "ImageSets" / "VID_train_15frames.txt")
    assert len(ImageNetVID(tmp_path, frames=listed)) == 20
    assert len(ImageNetVID(tmp_path, frames=listed, per_video=None)) == 30
    assert len(ImageNetVID(tmp_path, "val", per_video=None)) == 20
