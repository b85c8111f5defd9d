"""Handle Ctrl-C and termination signals between two frames instead of in the middle of one."""

import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self, TypeVar

T = TypeVar("T")

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(KeyboardInterrupt):
    """A signal asked the program to end.

    Args:
        number: Number of the signal.

    Attributes:
        number: Number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = int(number)


def signal_of(stop: KeyboardInterrupt) -> int:
    """Return the number of the signal behind an interruption; that of Ctrl-C if it does not say."""
    return stop.number if isinstance(stop, Stopped) else int(signal.SIGINT)


def stop_on_signals() -> None:
    """Make every termination signal raise `Stopped`, as Ctrl-C does; signals that are ignored stay ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _stop)


class Interrupts:
    """Hold termination signals back until a frame is finished, so that all files of a video end with the same frame.

    It is a context manager for Ctrl-C, SIGTERM and SIGHUP. A second signal is not held back, so you can leave a
    detector that hangs. It does nothing outside the main thread, or for signals that are ignored or handled elsewhere.

    Attributes:
        number: Number of the signal that came in the block; 0 if none did.
    """

    def __init__(self) -> None:
        self.number = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            plain = (signal.default_int_handler, signal.SIG_DFL, _stop)
            for number in SIGNALS:
                if signal.getsignal(number) in plain:
                    self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def between(self, results: Iterable[T]) -> Iterator[T]:
        """Pass results on, and raise a signal that was held back between two of them.

        Args:
            results: The results.

        Yields:
            The same results.

        Raises:
            Stopped: If a signal came while the last result was being processed; it is a KeyboardInterrupt.
        """
        for result in results:
            yield result
            if self.number:
                raise Stopped(self.number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            raise Stopped(number)
        self.number = number


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise Stopped(number)
