"""A progress bar for work over streams, in stages: share done, rate, time left. Needs no Keras."""

import sys
import time


class StreamProgress:
    """Shows how far a stage is.

        with StreamProgress() as progress:
            progress("counting", done=12_000_000, total=33_000_000, unit="MB", scale=1e6)

    On a terminal it is a bar; elsewhere, such as in a log file, one line for every tenth of a stage.

    Args:
        stream: text file. Standard error by default, so that results can be piped.
    """

    def __init__(self, stream=None):
        self.stream = stream if stream is not None else sys.stderr
        self.stage = self.bar = None
        self.reported = time.perf_counter()

    def __call__(
        self, stage: str, done: float, total: float, detail: str = "", unit: str = "", scale: float = 1
    ):
        """Reports the state of a stage; a new name begins a new stage.

        Args:
            stage: str. What is done.
            done: float. Of `total`, which may be an estimate: what is done is never shown as more.
            total: float.
            detail: str. Shown as it is.
            unit: str. Of the rate.
            scale: float. How many of what is counted are one unit.
        """
        total = max(total, done, 1)
        if stage != self.stage:
            self._begin(stage)
        self.reported = time.perf_counter()
        elapsed = max(self.reported - self.started, 1e-9)
        rate = f"{done / scale / elapsed:,.1f} {unit}/s" if unit else ""
        detail = "  ".join(part for part in (detail, rate) if part)
        if self.bar is not None:
            self.bar.update(self.task, completed=done, total=total, detail=detail)
        elif done * 10 // total > self.tenths:
            self.tenths = done * 10 // total
            left = elapsed / done * (total - done)
            print(
                f"{stage}  {100 * done // total:.0f} %  {detail}  {left:.0f} s left",
                file=self.stream,
                flush=True,
            )

    def _begin(self, stage):
        # The first report comes when something has been done already.
        self.stage, self.started, self.tenths = stage, self.reported, 0
        if not self.stream.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        if self.bar is None:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TimeRemainingColumn(),
            )
            self.bar = Progress(
                *columns, TextColumn("{task.fields[detail]}"), console=Console(file=self.stream)
            )
            self.bar.start()
        self.task = self.bar.add_task(stage, total=None, detail="")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
