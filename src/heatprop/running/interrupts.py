"""Ctrl-C, and signals to end, between two frames instead of within one."""

import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self, TypeVar

T = TypeVar("T")

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(KeyboardInterrupt):
    """A signal asks the program to end.

    Args:
        number: The signal's number.

    Attributes:
        number: The same.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = int(number)


def signal_of(stop: KeyboardInterrupt) -> int:
    """Mark which signal an interruption came from; Ctrl-C where it does not say."""
    return stop.number if isinstance(stop, Stopped) else int(signal.SIGINT)


def stop_on_signals() -> None:
    """Make every signal to end raise `Stopped`, as Ctrl-C raises KeyboardInterrupt; what is ignored stays so."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _stop)


class Interrupts:
    """Hold signals to end back until a frame is finished, so that all files of a video end with the same one.

    A context manager for Ctrl-C, SIGTERM and SIGHUP. The second signal is not held back: a detector that hangs can be
    left. Outside of the main thread, and where a signal has another meaning already or is ignored, it does nothing.

    Attributes:
        number: The signal that came in the block; 0 if none did.
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
        """Let a signal that was held back through between two results.

        Args:
            results: One after the other.

        Yields:
            The same.

        Raises:
            Stopped: If a signal came while the last one was worked on; it is a KeyboardInterrupt.
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
