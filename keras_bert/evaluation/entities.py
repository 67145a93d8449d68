"""Scores of spans, by seqeval's definitions, and the spans that tags spell.

A span is right where its type, its start and its end are. A ratio whose denominator is zero is 0.
"""

import re
from collections import Counter

_STRICT = {"IOB2": {"B", "I"}, "IOBES": {"B", "I", "E", "S"}}


def spans_of_tags(tags, scheme: str | None = None) -> list[tuple[str, int, int]]:
    """The spans that a sentence's tags spell: (label, start, end), the end exclusive.

    Args:
        tags: sequence of str. "O", or a prefix B, I, E or S with "-" and the label ("B-PER"). A prefix alone
            is one of the label "_"; a label alone ("PER") is inside of it (seqeval takes its first letter
            for a prefix).
        scheme: str or None. None reads leniently, as seqeval's default: an I that nothing began begins a
            span, another label ends one. "IOB2" and "IOBES" count only what follows their rules to the
            letter, as seqeval's strict mode.

    Raises:
        ValueError: an unknown scheme, or a prefix that the scheme does not have.

    Example: `B-PER I-PER O I-LOC` spells `("PER", 0, 2)` and `("LOC", 3, 4)`, under "IOB2" the first alone.
    """
    if scheme is not None:
        return _strict(tags, scheme)
    spans, start, label, before = [], 0, None, "O"
    for place, tag in enumerate([*tags, "O"]):
        prefix, kind = _split(tag)
        goes_on = label is not None and prefix in ("I", "E") and kind == label and before not in ("E", "S")
        if not goes_on:
            if label is not None:
                spans.append((label, start, place))
            start, label = place, None if prefix == "O" else kind
        before = prefix
    return spans


def _strict(tags, scheme):
    if scheme not in _STRICT:
        raise ValueError(f"`scheme` must be one of {', '.join(_STRICT)}. Received: scheme={scheme!r}")
    spans, open_at, label = [], None, None
    parts = [_split(tag) for tag in tags]
    unknown = {prefix for prefix, _ in parts} - _STRICT[scheme] - {"O"}
    if unknown:
        raise ValueError(f"{scheme} has no prefix {sorted(unknown)[0]!r}. Received: tags={list(tags)}")
    for place, (prefix, kind) in enumerate([*parts, ("O", "")]):
        goes_on = open_at is not None and prefix in ("I", "E") and kind == label
        if open_at is not None and not goes_on:
            if scheme == "IOB2":
                spans.append((label, open_at, place))
            open_at = None
        if goes_on and prefix == "E":
            spans.append((label, open_at, place + 1))
            open_at = None
        elif prefix == "S":
            spans.append((kind, place, place + 1))
        elif prefix == "B":
            open_at, label = place, kind
    return spans


def _split(tag: str) -> tuple[str, str]:
    """(prefix, label); ("O", "") outside."""
    prefix, _, kind = tag.partition("-")
    if prefix == "O":
        return "O", ""
    return (prefix, kind or "_") if prefix in ("B", "I", "E", "S") else ("I", tag)


def in_words(spans, text: str) -> list:
    """Spans (label, start, end), each cut into the words it holds."""
    return [
        (label, start + word.start(), start + word.end())
        for label, start, end in spans
        for word in re.finditer(r"\S+", text[start:end])
    ]


def joined_neighbours(spans, text: str) -> list:
    """Spans (label, start, end), those of one label joined between which there is only white space."""
    joined = []
    for label, start, end in sorted(spans, key=lambda span: span[1:]):
        if joined and joined[-1][0] == label and not text[joined[-1][2] : start].strip():
            start = joined.pop()[1]
        joined.append((label, start, end))
    return joined


def entity_scores(gold, predicted) -> dict:
    """Precision, recall and F1 of spans over all rows, and of every label.

    Args:
        gold, predicted: sequences of one entry a row: its spans, (label, start, end). A span that a row
            names twice counts once.
    Returns:
        `precision`, `recall`, `f1` over all spans together (micro), `macro_f1`: the mean of the labels' F1,
        `weighted_f1`: weighted by their support, and `types`: {label: {precision, recall, f1, support}}
        of the labels that occur on either side, sorted.

    Raises:
        ValueError: lists of different length.
    """
    if len(gold) != len(predicted):
        raise ValueError(
            "`gold` and `predicted` must have one entry a row. Received: "
            f"{len(gold)} and {len(predicted)} rows"
        )
    hits, found, actual = Counter(), Counter(), Counter()
    for ours, theirs in zip(gold, predicted, strict=True):
        ours, theirs = set(ours), set(theirs)
        actual.update(label for label, _, _ in ours)
        found.update(label for label, _, _ in theirs)
        hits.update(label for label, _, _ in ours & theirs)
    types = {name: _scores(hits[name], found[name], actual[name]) for name in sorted({*found, *actual})}
    total = _scores(hits.total(), found.total(), actual.total())
    support = total.pop("support")
    each = [(row["f1"], row["support"]) for row in types.values()]
    return {
        **total,
        "macro_f1": sum(f1 for f1, _ in each) / len(each) if each else 0.0,
        "weighted_f1": sum(f1 * n for f1, n in each) / support if support else 0.0,
        "types": types,
    }


def _scores(hits, found, actual) -> dict:
    precision, recall = _ratio(hits, found), _ratio(hits, actual)
    return {
        "precision": precision,
        "recall": recall,
        "f1": _ratio(2 * hits, found + actual),
        "support": actual,
    }


def _ratio(numerator, denominator) -> float:
    return numerator / denominator if denominator else 0.0
