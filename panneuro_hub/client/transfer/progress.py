"""Show the progress of a transfer, as one changing line or as plain lines."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from panneuro_hub.catalog.text_format import format_size

_REFRESH_INTERVAL = 0.5  # seconds between two looks on a terminal
_LINE_INTERVAL = 15.0  # seconds between two plain lines
_RATE_WINDOW = 15.0  # seconds that the rate is taken over


class TransferProgress:
    """Counts what is done; any thread may tell it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._moves: deque[tuple[float, int]] = deque()
        self._news: deque[str] = deque(maxlen=20)
        self._waiting = ""
        self.files = self.size = 0
        self.done_files = self.moved = self.spared = 0
        self.moved_files = 0

    def expect(self, files: int, size: int) -> None:
        """Say how much there is, in bytes."""
        with self._lock:
            self.files, self.size = files, size

    def move(self, size: int) -> None:
        """So many bytes went over the wire, and arrived."""
        now = time.monotonic()
        with self._lock:
            self.moved += size
            self._waiting = ""
            self._moves.append((now, size))
            while self._moves and now - self._moves[0][0] > _RATE_WINDOW:
                self._moves.popleft()

    def spare(self, size: int) -> None:
        """So many bytes were there already."""
        with self._lock:
            self.spared += size

    def done(self, *, moved: bool) -> None:
        """One file is whole; whether any of it went over the wire."""
        with self._lock:
            self.done_files += 1
            self.moved_files += moved

    def wait(self, reason: str) -> None:
        """Nothing moves for now, and this is why."""
        with self._lock:
            self._waiting = _strip_controls(reason)

    def tell(self, news: str) -> None:
        """Say a sentence above the line."""
        with self._lock:
            self._news.append(_strip_controls(news))

    def news(self) -> list[str]:
        """Return the news and clear them."""
        with self._lock:
            told = list(self._news)
            self._news.clear()
        return told

    def line(self) -> str:
        """Return the progress in one line."""
        with self._lock:
            rate = self._rate(time.monotonic())
            done = self.moved + self.spared
            share = f"{100 * done // self.size:3d} %" if self.size else "    "
            parts = [
                f"{share} {format_size(done)} of {format_size(self.size)}",
                f"{self.done_files} of {self.files} files",
            ]
            if self._waiting:
                parts.append(f"waiting: {self._waiting}")
            elif rate:
                left = max(self.size - done, 0) / rate
                parts += [f"{format_size(rate)}/s", f"{format_duration(left)} left"]
        return " · ".join(parts)

    def waiting(self) -> str:
        """Return what is waited for; ``""`` while something moves."""
        with self._lock:
            return self._waiting

    def _rate(self, now: float) -> float:
        if not self._moves:
            return 0.0
        began = self._moves[0][0]
        return sum(size for _, size in self._moves) / max(now - began, 1.0)


@contextmanager
def show_progress(
    progress: TransferProgress, out: TextIO | None = None, *, quiet: bool = False
) -> Iterator[None]:
    """Show `progress` on standard error until the end of the block.

    Parameters
    ----------
    quiet : bool
        Show only what is waited for, for listings and for programs that read the outcome.
    """
    target = sys.stderr if out is None else out
    over = threading.Event()
    show = _update_terminal if target.isatty() else _print_lines
    if quiet:
        show = _print_waits
    thread = threading.Thread(target=show, args=(progress, target, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for news in () if quiet else progress.news():
            print(news, file=target)


def format_duration(seconds: float) -> str:
    """A duration for people: ``0:42``, ``1:02:03`` or ``3 days``."""
    whole = int(min(seconds, 1e9))
    if whole >= 2 * 86_400:
        return f"{whole // 86_400} days"
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def _strip_controls(text: str) -> str:
    """Text in one line, in which nothing is alive in a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _update_terminal(progress: TransferProgress, out: TextIO, over: threading.Event) -> None:
    while True:
        last = over.wait(_REFRESH_INTERVAL)
        out.writelines(f"\r\x1b[K{news}\n" for news in progress.news())
        out.write(f"\r\x1b[K{progress.line()[: shutil.get_terminal_size().columns - 1]}")
        out.flush()
        if last:
            out.write("\r\x1b[K")
            out.flush()
            return


def _print_waits(progress: TransferProgress, out: TextIO, over: threading.Event) -> None:
    told = ""
    while not over.wait(_REFRESH_INTERVAL):
        waiting = progress.waiting()
        if waiting and waiting != told:
            print(f"waiting: {waiting}", file=out, flush=True)
            told = waiting


def _print_lines(progress: TransferProgress, out: TextIO, over: threading.Event) -> None:
    while not over.wait(_LINE_INTERVAL):
        for news in progress.news():
            print(news, file=out, flush=True)
        print(progress.line(), file=out, flush=True)
