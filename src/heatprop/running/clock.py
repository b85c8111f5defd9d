"""Times of frames as the memory counts them: in frames since the last one."""

from fractions import Fraction

STEADY = 0.1
"""A time this near to a whole number of frames is that number: files round, some to milliseconds."""


class Clock:
    """Count the frames that pass between the frames of a file, at its nominal rate.

    Args:
        rate: Nominal number of frames per second; ``None`` where nobody knows: each frame is one then.
    """

    def __init__(self, rate: float | Fraction | None) -> None:
        self._rate = rate
        self._last: float | None = None

    def __call__(self, time: float) -> float | None:
        """Tell how many frames have passed.

        Args:
            time: When the frame is shown, in seconds.

        Returns:
            Frames since the last call, above 0; ``None`` for one, also where times do not increase.

        Examples:
            >>> clock = Clock(25)
            >>> [clock(time) for time in (0.0, 0.04, 0.081, 0.2, 0.22, 0.22)]
            [None, None, None, 3, 0.5, None]
        """
        last, self._last = self._last, time
        if last is None or self._rate is None or time <= last:
            return None
        frames = (time - last) * float(self._rate)
        whole = round(frames)
        if whole >= 1 and abs(frames - whole) <= STEADY:
            return None if whole == 1 else whole
        return round(min(max(frames, 1e-3), 1e6), 6)
