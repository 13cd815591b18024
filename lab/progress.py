"""What a person sees while the lab works: a line per stage and per resource, with how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status


class Progress:
    """Writes to stderr, so that results on stdout can be piped.

    On a terminal a spinner shows what is under way; elsewhere (CI) every finished thing is a line.
    """

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        self.console = console or Console(stderr=True, highlight=False, quiet=quiet)
        self._status: Status | None = None
        self._now = ""
        self._going_on: dict[str, float] = {}
        self._began = time.monotonic()

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """A stage of the whole; its duration is shown when it ends, done or failed."""
        self._began = time.monotonic()
        self._now = title
        if not self.console.is_terminal:
            self.line(f"{title} …")
        self._status = self.console.status(title) if self.console.is_terminal else None
        if self._status is not None:
            self._status.start()
        failed = True
        try:
            yield
            failed = False
        finally:
            if self._status is not None:
                self._status.stop()
            mark = "[red]✗[/]" if failed else "[green]✓[/]"
            self.line(f"{mark} {title} [dim]{self.elapsed():.1f} s[/]")

    def elapsed(self) -> float:
        """Seconds since the stage began."""
        return time.monotonic() - self._began

    def doing(self, what: str) -> None:
        """What the stage is at now."""
        if self._status is not None:
            self._status.update(f"{self._now} [dim]{self.elapsed():.0f} s[/]: {what}")
        else:
            self.line(f"  {what}")

    def under_way(self, what: str) -> None:
        """One more thing that goes on at the same time."""
        self._going_on[what] = time.monotonic()
        self._show_going_on()

    def over(self, what: str) -> None:
        """It has ended."""
        self._going_on.pop(what, None)
        self._show_going_on()

    def _show_going_on(self) -> None:
        if self._status is not None:
            names = ", ".join(list(self._going_on)[:3]) + (" …" if len(self._going_on) > 3 else "")
            self._status.update(f"{self._now} [dim]{self.elapsed():.0f} s[/] {names}")

    def glimpse(self, what: str) -> None:
        """Worth a look in passing, on a terminal; not worth a line."""
        if self._status is not None:
            self._status.update(f"{self._now} [dim]{self.elapsed():.0f} s[/] {what}")

    def line(self, text: str) -> None:
        """A line that stays."""
        self.console.print(text, soft_wrap=True)
