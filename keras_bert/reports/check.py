"""The report of `data.check.check_files` for a reader at a terminal."""

import re

from keras_bert.reports.tables import render

_MOST_CLASSES = 20
# What a terminal obeys rather than shows, in texts of strangers; and halves of characters.
_UNSHOWN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def check_table(report: dict) -> str:
    """Tables of the files, the classes and the lengths; then the findings, the worst first."""
    parts = [_files(report), _classes(report), _lengths(report), *map(_finding, report["findings"])]
    if not report["findings"]:
        parts.append("Nothing is wrong that could be seen.")
    return _UNSHOWN.sub(lambda found: ascii(found[0])[1:-1], "\n\n".join(part for part in parts if part))


def _files(report) -> str:
    rows = []
    for name, file in report["files"].items():
        repeats, targets = file["repeats"], file["targets"]
        leaks = report["leaks"].get(name)
        rows.append([
            name, file["rows"], file["unreadable"]["rows"], repeats["exact"] + repeats["near"],
            file["contradictions"]["texts"], leaks and leaks["rows"], _target(targets),
        ])  # fmt: skip
    return render(
        ["file", "rows", "unreadable", "repeated", "contradicting", "also trained on", "labels"], rows
    )


def _target(targets) -> str | None:
    if targets["kind"] == "score":
        return f"scores {targets['min']:g} to {targets['max']:g}, mean {targets['mean']:.4g}"
    if targets["kind"] == "answers":
        return f"answers; {targets['unanswerable']:,} questions have none"
    if targets["kind"] is None:
        return None
    counts = targets["counts"]
    if targets["kind"] == "spans":
        return f"{sum(counts.values()):,} spans of {len(counts)} labels, {targets['words']:,} words"
    return f"{len(counts):,} classes"


def _classes(report) -> str:
    """A line for each class, with its rows in every file."""
    targets = {name: file["targets"] for name, file in report["files"].items() if "counts" in file["targets"]}
    names = list(dict.fromkeys(name for target in targets.values() for name in target["counts"]))
    rows = []
    for label in names[:_MOST_CLASSES]:
        cells = [label]
        for target in targets.values():
            count, share = target["counts"].get(label, 0), target["shares"].get(label, 0)
            cells += [count, f"{100 * share:.1f} %"]
        rows.append(cells)
    if not rows:
        return ""
    table = render(["label", *(heading for name in targets for heading in (name, "share"))], rows)
    more = len(names) - len(rows)
    return f"{table}\n... and {more:,} more labels" if more else table


def _lengths(report) -> str:
    rows = []
    for name, file in report["files"].items():
        texts = file["texts"]
        rows.append([f"{name}, characters", *texts["characters"].values()])
        if "tokens" in texts:
            rows.append([f"{name}, pieces", *texts["tokens"]["lengths"].values()])
    first = next(iter(report["files"].values()))["texts"]
    headings = ["longest" if q == "max" else f"{q} %" for q in first["characters"]]
    table = render(["length of the rows", *headings], rows)
    if "tokens" in first:
        table += f"\nsuggested: --max_seq_length={report['suggested_length']}"
    return table


def _finding(finding) -> str:
    lines = [f"{finding['level'].upper()}  {finding['file']}: {finding['what'].rstrip('.')}."]
    lines.append(f"  To do: {finding['remedy']}{'' if finding['remedy'].endswith('?') else '.'}")
    for example in finding["examples"]:
        labels = f"  [{' / '.join(example['labels'])}]" if "labels" in example else ""
        text = f"  {example['text']}" if example["text"] else ""
        lines.append(f"    {' = '.join(example['places'])}{labels}{text}")
    left = finding["rows"] - len(finding["examples"])
    if finding["kind"] == "unreadable" and left > 0:
        lines.append(f"    ... and {left:,} more")
    return "\n".join(lines)
