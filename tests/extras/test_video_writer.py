"""Writing video: what is in the file, and that nothing half-written takes a finished one's place."""

import _thread
import itertools
import math
import os
import re
import threading
import tracemalloc
from fractions import Fraction

import av
import numpy as np
import pytest
from files import names
from films import audio_packets, greys, make, number, read, write

from heatprop.video import VideoError, VideoReader, VideoWriter, writer

SIZE = {"width": 64, "height": 48, "rate": 25}


def write_and_raise(video, images, error):
    with video:
        for image in images:
            video.write(image)
        raise error


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv", ".webm", ".MP4"])
def test_the_frames_and_times_that_were_written_are_read_back(tmp_path, suffix):
    video = write(tmp_path / f"out{suffix}", greys(20), rate=Fraction(30000, 1001))
    assert video.saved_to == video.path == tmp_path / f"out{suffix}"
    frames = read(video.path)
    assert [number(frame.image) for frame in frames] == list(range(20))
    assert [frame.time for frame in frames] == pytest.approx([index * 1001 / 30000 for index in range(20)], abs=6e-4)
    assert video.frames == 20
    assert video.encoder == ("libvpx-vp9" if suffix == ".webm" else "libx264")


def test_a_constant_rate_stays_exact(tmp_path):
    with VideoReader(write(tmp_path / "out.mp4", greys(9), rate=30000 / 1001).path) as video:
        assert video.rate == Fraction(30000, 1001)
        assert [frame.time for frame in video] == [float(Fraction(1001 * index, 30000)) for index in range(9)]


def test_a_variable_rate_keeps_its_timestamps(tmp_path):
    times = [0.0, 0.04, 0.5, 0.51, 0.9, 2.0, 2.25]
    frames = read(write(tmp_path / "out.mp4", greys(7), times).path)
    assert [frame.time for frame in frames] == pytest.approx(times, abs=1e-5)


@pytest.mark.parametrize("rate", [1e-9, 0.01, 23.976, Fraction(104895, 6994), 240, 100_000])
def test_any_rate_is_written(tmp_path, rate):
    frames = read(write(tmp_path / "out.mkv", greys(3), [0.0, 0.5, 1.75], rate=rate).path)
    assert [frame.time for frame in frames] == pytest.approx([0, 0.5, 1.75], abs=1e-3)


def test_times_that_do_not_rise_are_moved_to_the_next_tick(tmp_path):
    frames = read(write(tmp_path / "out.mp4", greys(4), [0.0, 0.2, 0.2, 0.1]).path)
    assert [number(frame.image) for frame in frames] == [0, 1, 2, 3]
    assert [frame.time for frame in frames] == pytest.approx([0, 0.2, 0.2, 0.2], abs=1e-4)


def test_frames_without_a_time_follow_the_one_before(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", **SIZE) as video:
        for image, time in zip(greys(4), [None, 1.0, None, None], strict=True):
            video.write(image, time=time)
    assert [frame.time for frame in read(video.path)] == pytest.approx([0, 1, 1.04, 1.08], abs=1e-5)


@pytest.mark.parametrize(("height", "width"), [(47, 64), (48, 63), (143, 175), (1, 1), (2, 3)])
def test_odd_sizes_grow_by_a_copy_of_the_last_row_or_column(tmp_path, height, width):
    image = np.random.default_rng(0).integers(0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    image = np.kron(image, np.ones((8, 8, 1), np.uint8))[:height, :width]  # smooth enough for half the chroma
    expected = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge").astype(int)
    (frame,) = read(write(tmp_path / "out.mp4", [image]).path)
    assert frame.image.shape == expected.shape
    assert np.abs(frame.image - expected).mean() < 12


@pytest.mark.parametrize(("height", "tag", "red"), [(480, 6, (81, 90, 240)), (720, 1, (63, 102, 240))])
def test_colours_are_tagged_and_coded_as_players_expect(tmp_path, height, tag, red):
    """Red is (81, 90, 240) by BT.601, for up to 576 lines, and (63, 102, 240) by BT.709, above."""
    image = np.full((height, 64, 3), (255, 0, 0), np.uint8)
    video = write(tmp_path / "out.mp4", [image])
    with av.open(str(video.path)) as container:
        picture = next(container.decode(video=0))
        assert (picture.format.name, picture.colorspace, picture.color_range) == ("yuv420p", tag, 1)
        assert [int(bytes(plane)[0]) for plane in picture.planes] == pytest.approx(red, abs=1)
    assert np.abs(read(video.path)[0].image.astype(int) - (255, 0, 0)).max() <= 3


def test_views_that_are_not_contiguous_are_written_as_they_look(tmp_path):
    images = [image[::-1, ::-1] for image in greys(3)]  # the bright quarter is now below on the right
    frame = read(write(tmp_path / "out.mp4", images).path)[0]
    assert frame.image[-10:, -10:].min() > 240
    assert frame.image[:10, :10].max() < 30


def test_without_x264_it_takes_mpeg4_and_then_what_the_container_prefers(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_ENCODERS", {"an_encoder_that_nobody_has": {}, "mpeg4": {}})
    video = write(tmp_path / "out.mp4", greys(10), rate=24000 / 1001)
    assert video.encoder == "mpeg4"
    assert [number(frame.image) for frame in read(video.path)] == list(range(10))
    monkeypatch.setattr(writer, "_ENCODERS", {"libx264": {}})
    assert "vp9" in write(tmp_path / "out.webm", greys(2)).encoder


@pytest.mark.parametrize("degrees", [0, 90])
def test_the_pixel_aspect_of_the_source_is_kept(tmp_path, degrees):
    def prepare(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        stream.set_display_rotation(degrees)

    source = make(tmp_path / "in.mp4", greys(2), prepare=prepare)
    out = write(tmp_path / "out.mp4", [frame.image for frame in read(source)], source=source)
    with VideoReader(out.path) as video, VideoReader(source) as original:
        assert video.pixel_aspect == original.pixel_aspect == (Fraction(3, 4) if degrees else Fraction(4, 3))


def test_the_file_lies_beside_its_final_name_until_it_is_whole(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", **SIZE) as video:
        video.write(greys(1)[0])
        (name,) = names(tmp_path)
        assert re.fullmatch(r"\.heatprop-[0-9a-f]{32}\.part", name)
        assert video.saved_to is None
    assert names(tmp_path) == ["out.mp4"]


def test_a_file_may_take_the_place_of_its_own_source(tmp_path):
    path = make(tmp_path / "film.mp4", greys(5), audio="aac")
    before = audio_packets(path)
    write(path, greys(7), source=path)
    assert len(read(path)) == 7
    assert [data for _, data in audio_packets(path)] == [data for _, data in before]


@pytest.mark.parametrize("error", [ValueError, OSError, VideoError, SystemExit])
def test_after_an_exception_nothing_is_left_but_the_older_file(tmp_path, error):
    (tmp_path / "out.mp4").write_bytes(b"finished yesterday")
    video = VideoWriter(tmp_path / "out.mp4", **SIZE)
    with pytest.raises(error, match="the detector broke"):
        write_and_raise(video, greys(1), error("the detector broke"))
    assert names(tmp_path) == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == b"finished yesterday"
    assert video.saved_to is None


def test_a_move_that_fails_leaves_the_older_file(tmp_path, monkeypatch):
    (tmp_path / "out.mp4").write_bytes(b"finished yesterday")

    def full(source, target):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        write(tmp_path / "out.mp4", greys(3))
    assert names(tmp_path) == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == b"finished yesterday"


def test_ctrl_c_leaves_a_playable_part_beside_the_older_file(tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"finished yesterday")
    source = make(tmp_path / "in.mp4", greys(50), audio="aac")
    video = VideoWriter(tmp_path / "out.mp4", **SIZE, source=source)
    with pytest.raises(KeyboardInterrupt):
        write_and_raise(video, greys(20), KeyboardInterrupt())
    assert names(tmp_path) == ["in.mp4", "out.mp4", "out.partial.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == b"finished yesterday"
    assert video.saved_to == tmp_path / "out.partial.mp4"
    assert [number(frame.image) for frame in read(video.saved_to)] == list(range(20))
    assert audio_packets(video.saved_to)[-1][0] < 20 / 25 < audio_packets(source)[-1][0]


def test_ctrl_c_before_the_first_frame_leaves_nothing(tmp_path):
    video = VideoWriter(tmp_path / "out.mp4", **SIZE)
    with pytest.raises(KeyboardInterrupt):
        write_and_raise(video, [], KeyboardInterrupt())
    assert (names(tmp_path), video.saved_to) == ([], None)


def test_ctrl_c_at_any_moment_loses_no_frame_in_between(tmp_path):
    """Twenty moments: with encoding and writing as two steps, one in ten loses a packet."""

    def images(delay):
        yield greys(1)[0]
        threading.Timer(delay, _thread.interrupt_main).start()
        yield from itertools.islice(itertools.cycle(greys(32)[1:] + greys(1)), 10_000)  # or it was never interrupted

    for delay in np.linspace(0.002, 0.06, 20):
        video = VideoWriter(tmp_path / "out.mp4", **SIZE)
        with pytest.raises(KeyboardInterrupt):
            write_and_raise(video, images(delay), AssertionError("never interrupted"))
        frames = read(tmp_path / "out.partial.mp4")
        assert len(frames) in (video.frames, video.frames + 1)  # it may come after a frame and before it is counted
        assert [number(frame.image) for frame in frames] == [index % 32 for index in range(len(frames))]


def test_no_frame_no_file(tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"finished yesterday")
    with VideoWriter(tmp_path / "out.mp4", **SIZE) as video:
        pass
    assert (names(tmp_path), video.saved_to) == (["out.mp4"], None)
    assert (tmp_path / "out.mp4").read_bytes() == b"finished yesterday"


def test_memory_stays_flat_over_a_long_file(tmp_path):
    image = greys(1, 120, 160)[0]
    tracemalloc.start()
    try:
        with VideoWriter(tmp_path / "out.mp4", width=160, height=120, rate=25) as video:
            for _ in range(200):
                video.write(image)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * image.nbytes


def test_writing_outside_of_the_block_is_refused(tmp_path):
    video = VideoWriter(tmp_path / "out.mp4", **SIZE)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"inside the block of 'with VideoWriter"):
            video.write(greys(1)[0])
        with video:
            pass


@pytest.mark.parametrize(
    "image", [np.zeros((48, 63, 3), np.uint8), np.zeros((48, 64), np.uint8), np.zeros((48, 64, 3), np.float32)]
)
def test_an_image_of_another_shape_or_type_is_refused(tmp_path, image):
    video = VideoWriter(tmp_path / "out.mp4", **SIZE)
    with pytest.raises(ValueError, match=r"image must have shape \(48, 64, 3\) and type uint8, got"):
        write_and_raise(video, [image], AssertionError("was accepted"))
    assert names(tmp_path) == []


@pytest.mark.parametrize("wrong", [{"width": 0}, {"height": -2}, {"rate": 0}, {"rate": math.inf}, {"rate": math.nan}])
def test_sizes_and_rate_must_be_above_0(tmp_path, wrong):
    with pytest.raises(ValueError, match="width, height and rate must be above 0, got"):
        VideoWriter(tmp_path / "out.mp4", **SIZE | wrong)


@pytest.mark.parametrize("name", ["out", "out.txt", "out.avi", "out.png"])
def test_the_suffix_must_be_that_of_a_container_with_timestamps(tmp_path, name):
    with pytest.raises(ValueError, match=r"must end in \.mp4, \.m4v, \.mov, \.mkv, \.webm, got 'out"):
        VideoWriter(tmp_path / name, **SIZE)


def test_a_missing_folder_a_folder_as_file_and_a_missing_source_are_named_at_once(tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    for video, error, match in (
        (VideoWriter(tmp_path / "absent" / "out.mp4", **SIZE), FileNotFoundError, "no such folder: .*absent; make it"),
        (VideoWriter(tmp_path / "folder.mp4", **SIZE), IsADirectoryError, "is a folder; give the name of a file in it"),
        (VideoWriter(tmp_path / "o.mp4", **SIZE, source="absent.mp4"), FileNotFoundError, "no such file: absent.mp4"),
    ):
        with pytest.raises(error, match=match), video:
            pass
    assert names(tmp_path) == ["folder.mp4"]
