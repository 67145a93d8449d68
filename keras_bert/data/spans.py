"""Spans of a text, however a file writes them: objects, lists, tags of words, CLUENER's nested objects."""

import functools
import json
import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Mapping

from keras_bert.data.columns import checked_row, column_names, shortened
from keras_bert.data.conll import are_characters, checked_tag, tagged_row
from keras_bert.errors import DataError
from keras_bert.text import unicode_table as unicode

# What the spans are called: by us, by spaCy and doccano, by older doccano, by CLUENER.
NAMES = ("spans", "entities", "labels", "label")
# Rows of words, as Hugging Face's data sets have them, and what their tags are called.
_WORDS, _TAGS = ("tokens", "words"), ("tags", "ner_tags", "labels", "ner")
_START, _END = ("start", "start_offset"), ("end", "end_offset")
_LABEL, _SURFACE = ("label", "type", "entity"), ("text", "word", "surface")
OUTSIDE = "O"  # the tag of what lies in no span
_EXPECTED = '[{"start": 0, "end": 4, "label": "PER"}, ...], in characters, the end exclusive'


def span_rows(records: Iterable[tuple[str, object]]) -> Iterator[tuple[str, dict]]:
    """Rows of text and spans from JSON values.

    A value is an object with the text and its spans under one of `NAMES`; or with `tokens` and `ner_tags`;
    or spaCy's `["text", {"entities": [...]}]`. Of spans that lie within one another, as CLUENER has some, the
    longer one is kept and one warning counts the others; spans in a list may not overlap.

    Args:
        records: iterable of (location, JSON value).
    Yields:
        (location, {"text", "spans": list of {"start", "end", "label"}, ...}); other keys are kept, and a
        row without any spans lacks the key.
    Raises:
        DataError: a value without a text, or spans that cannot be.
    """
    dropped, first = 0, ""
    for where, record in records:
        record = _as_object(record, where)
        words = next((record[name] for name in _WORDS if isinstance(record.get(name), list)), None)
        name = next((name for name in (*column_names("text"), "") if isinstance(record.get(name), str)), None)
        if words is not None and (name is None or _has_tags(record, words)):
            yield where, {**record, **_row_of_words(words, record, where)}
            continue
        text = checked_row({"text": record.get(name)}, ("text",), where)["text"]
        row = {**{key: value for key, value in record.items() if key != name}, "text": text}
        found = next((name for name in NAMES if record.get(name) is not None), None)
        if found is not None:
            spans, within = _found(row.pop(found), text, where)
            row["spans"] = [{"start": start, "end": end, "label": label} for start, end, label in spans]
            first = first or (where if within else "")
            dropped += within
        yield where, row
    if dropped:
        warnings.warn(_dropped(dropped, first))


def checked_spans(given, text: str, where: str) -> list[tuple[int, int, str]]:
    """The spans of a row as (start, end, label), in the order of the text.

    Args:
        given: list of {"start", "end", "label"} (and perhaps "text") or of [start, end, label]; CLUENER's
            {label: {surface: [[first, last], ...]}}, whose last character is the span's; either also written
            as JSON; None or "": no span. A span named twice counts once, and white space and invisible
            characters at its ends do not: no piece covers them, so that it would never be found.
        text: str.
        where: str. Location for messages.
    Raises:
        DataError: a span outside of the text, empty, overlapping another, without a label, or whose own text
            is not what stands there.
    """
    spans, dropped = _found(given, text, where)
    if dropped:
        warnings.warn(_dropped(dropped, where))
    return spans


def cuts_a_word(span: tuple[int, int, str], text: str) -> bool:
    """Whether a span begins or ends within what the tokeniser makes one word of, which has one tag."""
    inside = _within_words()
    return any(0 < place < len(text) and inside.fullmatch(text, place - 1, place + 1) for place in span[:2])


@functools.cache
def _within_words() -> re.Pattern:
    """Two characters between which no word of the tokeniser ends."""
    table = unicode.unicode_table()
    kinds = (unicode.SPACE, unicode.CHINESE, unicode.PUNCTUATION)
    return re.compile(f"[^{''.join(map(table.character_class, kinds))}]{{2}}")


def _found(given, text, where) -> tuple[list[tuple[int, int, str]], int]:
    """The spans, and how many were left out because they lay within others."""
    if isinstance(given, str) and given.strip():
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            raise DataError(f"The spans are {shortened(given)}", where=where, expected=_EXPECTED) from None
    if given is None or isinstance(given, str):
        return [], 0
    if isinstance(given, Mapping):
        return _outermost(sorted(set(_nested(given, text, where))), where)
    if not isinstance(given, list | tuple):
        raise DataError(f"The spans are {shortened(given)}", where=where, expected=_EXPECTED)
    spans = sorted({_one(span, text, where) for span in given})
    for span, other in zip(spans, spans[1:], strict=False):
        if other[0] < span[1]:
            raise _overlap(span, other, text, where)
    return spans, 0


def _outermost(spans, where) -> tuple[list, int]:
    kept = []
    for span in sorted(spans, key=lambda span: (span[0], -span[1], span[2])):
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
        elif span[1] > kept[-1][1]:
            raise _overlap(kept[-1], span, "", where)
    return kept, len(spans) - len(kept)


def _overlap(span, other, text, where) -> DataError:
    shown = [f"{label} {start}-{end}" + (f" {shortened(text[start:end])}" if text else "")
             for start, end, label in (span, other)]  # fmt: skip
    return DataError(
        f"Two spans overlap: {shown[0]} and {shown[1]}", where=where,
        expected="spans side by side: a model of tags gives every word one", remedy="keep one of the two",
    )  # fmt: skip


def _dropped(count, where) -> str:
    which = "A span lies" if count == 1 else f"{count} spans lie"
    return f"{which} within others, which are kept alone, as every word has one tag. The first: {where}"


def _one(span, text, where) -> tuple[int, int, str]:
    if isinstance(span, Mapping):
        values = [
            next((span[n] for n in names if n in span), None) for names in (_START, _END, _LABEL, _SURFACE)
        ]
    elif isinstance(span, list | tuple) and len(span) == 3:
        values = [*span, None]
    else:
        raise DataError(f"A span is {shortened(span)}", where=where, expected=_EXPECTED)
    start, end, label, surface = values
    is_number = all(isinstance(n, int) and not isinstance(n, bool) for n in (start, end))
    if not is_number or not 0 <= start < end <= len(text):
        raise DataError(
            f"A span goes from {shortened(start)} to {shortened(end)} in a text of {len(text)} characters",
            where=where, expected=_EXPECTED,
            remedy="offsets are whole numbers that count characters of this very text, not bytes or tokens",
        )  # fmt: skip
    if not isinstance(label, str | int) or isinstance(label, bool) or not str(label).strip():
        raise DataError(
            f"The label of the span at {start} is {shortened(label)}", where=where, expected="a name"
        )
    if surface is not None and surface != text[start:end]:
        raise DataError(
            f"The span from {start} to {end} says {shortened(surface)}, but the text has "
            f"{shortened(text[start:end])} there",
            where=where, expected="offsets in characters of this text, the end exclusive",
            remedy=_elsewhere(surface, text),
        )  # fmt: skip
    name = str(label).strip()
    if name == OUTSIDE:
        raise DataError(
            f"The span from {start} to {end} is called {OUTSIDE!r}, as what lies in no span is", where=where,
            expected="another name", remedy="drop the span, or rename it",
        )  # fmt: skip
    return *_visible(start, end, text, where), name


def _visible(start, end, text, where) -> tuple[int, int]:
    """The part of a stretch that something of a text can cover."""
    first, behind = seen_part(text, start, end)
    if first == behind:
        raise DataError(
            f"The span from {start} to {end} is blank: {shortened(text[start:end])}", where=where,
            expected="something to be seen in every span", remedy="drop the span or correct its offsets",
        )  # fmt: skip
    return first, behind


def seen_part(text: str, start: int, end: int) -> tuple[int, int]:
    """Where the stretch begins and ends without blanks and invisible characters at its ends."""
    while start < end and _is_invisible(text[start]):
        start += 1
    while start < end and _is_invisible(text[end - 1]):
        end -= 1
    return start, end


def _is_invisible(char: str) -> bool:
    return char.isspace() or unicodedata.category(char) in ("Cc", "Cf")


def _elsewhere(surface, text) -> str:
    place = text.find(surface) if isinstance(surface, str) and surface else -1
    if place < 0:
        return "correct the span or its text"
    found = f"{shortened(surface)} stands from {place} to {place + len(surface)}"
    return f"{found}; were the offsets counted in bytes, or before the text was stripped?"


def _nested(given, text, where) -> Iterator[tuple[int, int, str]]:
    expected = '{"name": {"Anna": [[0, 3]]}}, the last character inclusive'
    for label, surfaces in given.items():
        if not isinstance(surfaces, Mapping):
            raise DataError(f"Under {label!r} stands {shortened(surfaces)}", where=where, expected=expected)
        for surface, places in surfaces.items():
            for place in places if isinstance(places, list) else [places]:
                is_pair = isinstance(place, list) and len(place) == 2 and all(type(n) is int for n in place)
                if not is_pair:
                    raise DataError(
                        f"The place of {shortened(surface)} is {shortened(place)}",
                        where=where,
                        expected=expected,
                    )
                yield _one(
                    {"start": place[0], "end": place[1] + 1, "label": label, "text": surface}, text, where
                )


def _as_object(record, where) -> Mapping:
    if isinstance(record, list) and len(record) == 2 and isinstance(record[0], str):
        record = {"text": record[0], **record[1]} if isinstance(record[1], Mapping) else record
    if not isinstance(record, Mapping):
        raise DataError(
            f"The row is {shortened(record)}", where=where, expected='{"text": "...", "spans": [...]}'
        )
    return record


def _has_tags(record, words) -> bool:
    """Whether a record with words and with a text has a tag for every word, and no spans of the text."""
    has_spans = any(record.get(name) is not None for name in ("spans", "entities"))
    lists = [record[name] for name in _TAGS if isinstance(record.get(name), list)]
    return not has_spans and any(
        len(tags) == len(words) and not any(isinstance(tag, list | Mapping) for tag in tags) for tags in lists
    )


def _row_of_words(words, record, where) -> dict:
    tags = next((record[name] for name in _TAGS if isinstance(record.get(name), list)), None)
    if tags is None or len(tags) != len(words) or not all(isinstance(word, str) and word for word in words):
        raise DataError(
            f"There are {len(words)} words and {'no' if tags is None else len(tags)} tags", where=where,
            expected='as many, all strings: {"tokens": ["EU", "rejects"], "ner_tags": ["B-ORG", "O"]}',
        )  # fmt: skip
    return tagged_row(words, [checked_tag(tag, where) for tag in tags], are_characters(words))
