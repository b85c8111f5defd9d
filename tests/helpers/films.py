"""Small video files made with PyAV, and what PyAV itself says is in a file: for tests of heatprop.video."""

from fractions import Fraction

import av
import numpy as np

from heatprop.video import VideoReader, VideoWriter

SAMPLES = 48_000  # of audio a second
STEP = 6  # grey levels from one frame of `greys` to the next


def greys(count, height=48, width=64):
    """Frames that tell their number by their grey, with a bright upper left quarter."""
    images = np.zeros((count, height, width, 3), np.uint8) + np.uint8(20)
    images += (np.arange(count, dtype=np.uint8) % 32 * STEP)[:, None, None, None]
    images[:, : height // 2, : width // 2] = 250
    return list(images)


def number(image):
    """The number, up to 32, that `greys` wrote into an image."""
    return round((float(image[-4:, -4:].mean()) - 20) / STEP)


def noise(count, height=48, width=64):
    """Frames that cost many bytes, so that a cut falls into the middle of them."""
    return list(np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def make(
    path,
    images,
    *,
    codec="libx264",
    rate=25,
    times=None,
    audio=None,
    audio_first=False,
    audio_start=0,
    options=None,
    prepare=None,
    tones=1,
):
    """Write images, and tones from `audio_start` to their end if `audio` names a codec."""
    height, width = images[0].shape[:2] if images else (48, 64)
    time_base = Fraction(1, rate if times is None else 60_000)
    times = [index * time_base for index in range(len(images))] if times is None else times
    with av.open(str(path), "w", options=options or {}) as container:
        audio_streams = [container.add_stream(audio, rate=SAMPLES) for _ in range(tones) if audio and audio_first]
        stream = container.add_stream(codec, rate=rate, time_base=time_base)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if codec != "libx264":
            stream.bit_rate = 4_000_000
        if prepare is not None:
            prepare(stream)
        audio_streams += [container.add_stream(audio, rate=SAMPLES) for _ in range(tones) if audio and not audio_first]
        for image, time in zip(images, times, strict=True):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = round(time / time_base), time_base
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
        for tone in audio_streams:
            beep(container, tone, float(times[-1]) - audio_start + 1 / rate if images else 0.5, start=audio_start)
    return path


def beep(container, stream, seconds, *, start=0):
    """Encode a tone of 440 Hz that begins at `start` seconds."""
    wave = (8000 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * SAMPLES)) / SAMPLES)).astype(np.int16)
    resampler = av.AudioResampler(format=stream.format, layout=stream.layout, rate=SAMPLES)
    frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLES, start * SAMPLES, Fraction(1, SAMPLES)
    for resampled in (*resampler.resample(frame), *resampler.resample(None)):
        container.mux(stream.encode(resampled))
    container.mux(stream.encode())


def decoded(path):
    """All pictures of a file as (time in seconds, image), as PyAV decodes them."""
    with av.open(str(path)) as container:
        return [(picture.time, picture.to_ndarray(format="rgb24")) for picture in container.decode(video=0)]


def audio_packets(path, stream=0):
    """(time in seconds, bytes) of every packet of one audio stream."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=stream) if packet.size]
        return [(float(packet.pts * packet.time_base), bytes(packet)) for packet in packets]


def write(path, images, times=None, **options):
    """Write images with heatprop and return the writer, closed."""
    height, width = images[0].shape[:2]
    with VideoWriter(path, **{"width": width, "height": height, "rate": 25} | options) as video:
        for index, image in enumerate(images):
            video.write(image, time=None if times is None else times[index])
    return video


def cut(path, share=None, *, size=None):
    """Throw away the end of a file: keep a share of its bytes, or so many."""
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * share) if size is None else size])
    return path


def read(path):
    """All frames that the package reads."""
    with VideoReader(path) as video:
        return list(video)
