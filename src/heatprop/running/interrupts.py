"""Ctrl-C between two frames instead of within one."""

import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class Interrupts:
    """Hold Ctrl-C back until a frame is finished, so that all files of a video end with the same one.

    A context manager. The second Ctrl-C is not held back: a detector that hangs can be left. Outside of the
    main thread, and where Ctrl-C has another meaning already or is ignored, it does nothing.

    Attributes:
        pressed: Whether Ctrl-C was pressed in the block.
    """

    def __init__(self) -> None:
        self.pressed = False
        self._previous: Any = None

    def __enter__(self) -> Self:
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def between(self, results: Iterable[T]) -> Iterator[T]:
        """Let a Ctrl-C that was held back through between two results.

        Args:
            results: One after the other.

        Yields:
            The same.

        Raises:
            KeyboardInterrupt: If Ctrl-C was pressed while the last one was worked on.
        """
        for result in results:
            yield result
            if self.pressed:
                raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True
