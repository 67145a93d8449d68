"""Progress over streams: few lines in a log, never more than all."""

import io

from keras_bert.reports.stream_progress import StreamProgress


def test_a_log_gets_a_line_for_every_tenth_of_each_stage():
    stream = io.StringIO()
    with StreamProgress(stream) as progress:
        for stage in ("counting", "learning"):
            for done in range(0, 1001):
                progress(stage, done, 1000, unit="texts")
    lines = stream.getvalue().splitlines()
    assert [line.split("  ")[:2] for line in lines[:10]] == [
        ["counting", f"{n} %"] for n in range(10, 101, 10)
    ]
    assert len(lines) == 20 and lines[10].startswith("learning  10 %")
    assert all("texts/s" in line and line.endswith(" s left") for line in lines)


def test_an_estimate_that_was_too_low_is_not_exceeded():
    stream = io.StringIO()
    with StreamProgress(stream) as progress:
        for done in (50, 100, 150, 200):
            progress("counting", done, 100)
    assert "150" not in stream.getvalue() and "-" not in stream.getvalue()


def test_a_terminal_gets_a_bar():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    with StreamProgress(stream) as progress:
        progress("counting", 5, 10, detail="5 texts")
        progress("learning", 10, 10)
    assert "counting" in stream.getvalue() and "learning" in stream.getvalue()
    assert progress.bar is None
