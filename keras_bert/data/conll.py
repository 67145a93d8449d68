"""Files of tagged words: CoNLL's columns, `word<TAB>tag`, and SNIPS' `word:slot ... <=> intent`."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

from keras_bert.data.columns import shortened
from keras_bert.errors import DataError
from keras_bert.evaluation.entities import spans_of_tags

MAX_WORDS = 100_000  # of a sentence: a file without blank lines is none of sentences
MAX_COLUMNS = 4  # of a file whose columns nobody named: more is rather running text
_SENTENCES_LOOKED_AT = 100  # before it is said what the units of a file are

# What follows the # of a comment. A # that is a word has its tag behind it instead.
_COMMENT = re.compile(
    r"#[ \t]+(?:(?:id|sent_id|text|newdoc|newpar|passage|domain|document|doc|source|url|global\.columns)"
    r"(?![^\s=:\d_.-])|.*\[\d{4}-\d\d-\d\d\]$)"
)
_HEADER = (
    {"word", "words", "token", "tokens", "text"},
    {"tag", "tags", "label", "labels", "ner", "ner_tags"},
)
_CJK = re.compile(r"[⺀-〿぀-ヿ㐀-䶿一-鿿豈-﫿！-｠\U00020000-\U0003ffff]")
# Tags of other dialects in ours: M is within, L the last, U one alone (BMES, BILOU).
_PREFIX = re.compile(r"([BIESMLU]|[bi](?=[-_]))(?:[-_](.*))?", re.DOTALL)
_TAG = re.compile(r"[BIESMLU][-_]\S+")
_PREFIXES = {"M": "I", "L": "E", "U": "S", "b": "B", "i": "I"}
_SEVERAL = re.compile(r"[,|;](?:[BIESMLU]-|O$)")


def conll_rows(
    lines: Iterable[str], path, *, text_column: int | None = None, tag_column: int | None = None
) -> Iterator[tuple[str, dict]]:
    r"""The sentences of a file with one word a line, its tag in another column.

        EU B-ORG
        rejects O        ->  {"text": "EU rejects", "spans": [{"start": 0, "end": 2, "label": "ORG"}], ...}

    Columns end at tabs if the first line has one, else at blanks, and every line has as many. Sentences end
    at blank lines and at `-DOCSTART-`; comments such as `# id = 7` and a header such as `token<TAB>tag` are
    passed over. BIO, IOB1, BIOES, BILOU, BMES and IO are read alike and leniently: an I that nothing began
    begins a span. Of lower-case prefixes only b- and i- are: "e-mail" is a name.

    Words become a text with one blank between them, and spans count in its characters. A word with a blank
    in it, which a file with tabs may have, keeps it: the span covers all of it. A file whose words are
    nearly all single characters, many of them Chinese or Japanese, becomes a text without blanks.

    Args:
        lines: iterable of str.
        path: for messages.
        text_column: int or None. Column of the words, counted from 0. None: the first.
        tag_column: int or None. Column of the tags, -1 the last. None: the last, of 2 to `MAX_COLUMNS`.
    Yields:
        (location of the first word, {"text", "spans", "units": "words", or "pieces" of single characters}).
    Raises:
        DataError: a line with other columns than the first one, a tag that is none, a sentence without end,
            words that count 1, 2, 3 where nobody said that they are the text.
    """
    sentences = _sentences(lines, path, text_column, tag_column)
    first = list(itertools.islice(sentences, _SENTENCES_LOOKED_AT))
    if text_column is None:
        _check_words(first)
    by_character = are_characters([word for _, words, _ in first for word in words])
    for where, words, tags in itertools.chain(first, sentences):
        yield where, tagged_row(words, tags, by_character)


def is_request(line: str) -> bool:
    """Whether a line is one of `slot_rows`."""
    return " <=> " in line


def are_tagged(lines: Iterable[str]) -> bool:
    """Whether lines, of a file that may also be one of texts, all end in tags."""
    lasts = [line.split() for line in lines if line.strip() and not line.startswith(("-DOCSTART-", "#"))]
    if lasts and len(lasts[0]) > 1 and _is_header(lasts[0][0], lasts[0][-1]):
        del lasts[0]
    return bool(lasts) and all(len(f) > 1 and (f[-1] == "O" or _TAG.fullmatch(f[-1])) for f in lasts)


def slot_rows(lines: Iterable[str], path) -> Iterator[tuple[str, dict]]:
    """SNIPS' requests, one a line: `word:tag word:tag ... <=> intent`.

    A tag begins after the last colon. A `:O` without a word, as the published file has some, is left out.

    Yields:
        (location, {"text", "spans", "units": "words", "label": the intent}).
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        request, arrow, intent = line.strip().rpartition("<=>")
        pairs = [pair for pair in re.split(r"[ \t]+", request) if pair]
        untagged = next((pair for pair in pairs if not all(pair.rpartition(":")[1:])), None)
        words = [(word, tag) for word, _, tag in (pair.rpartition(":") for pair in pairs) if word]
        if not arrow or not intent.strip() or untagged or not words:
            what = f"{shortened(untagged)} has no tag" if arrow and untagged else "This is no request"
            raise DataError(
                f"{what}: {shortened(line.strip())}", where=where, expected="word:tag word:tag <=> intent"
            )
        words, tags = zip(*words, strict=True)
        row = tagged_row(words, [checked_tag(tag, where) for tag in tags], by_character=False)
        yield where, {**row, "label": intent.strip()}


def are_characters(words: Sequence[str]) -> bool:
    """Whether the words are single characters of a script without blanks, all but a tenth."""
    single = sum(len(word) == 1 for word in words)
    cjk = sum(bool(_CJK.fullmatch(word)) for word in words)
    return 10 * single >= 9 * len(words) and 2 * cjk > len(words)


def tagged_row(words: Sequence[str], tags: Sequence[str], by_character: bool) -> dict:
    """{"text", "spans", "units"} of one sentence.

    Args:
        words: sequence of str.
        tags: sequence of str, as `checked_tag` returns them.
        by_character: bool. Join the words without blanks, but for foreign words side by side.
    """
    parts, starts, place, before = [], [], 0, ""
    for word in words:
        gap = " " if before and not (by_character and _joins(before, word)) else ""
        parts += (gap, word)
        starts.append(place + len(gap))
        place, before = place + len(gap) + len(word), word
    spans = [
        {"start": starts[first], "end": starts[behind - 1] + len(words[behind - 1]), "label": label}
        for label, first, behind in spans_of_tags(tags)
    ]
    return {"text": "".join(parts), "spans": spans, "units": "pieces" if by_character else "words"}


def checked_tag(tag, where: str) -> str:
    """A tag as `spans_of_tags` reads it: "O", "B-PER", "I-PER", "E-PER", "S-PER", or a bare label.

    Raises:
        DataError: a number, several tags, or a prefix without a label.
    """
    if not isinstance(tag, str) or not tag or tag.isdecimal():
        raise DataError(
            f"The tag {shortened(tag)} is no name", where=where,
            expected='"O" (the letter), "B-PER", "I-PER" ...',
            remedy="write the names of the tags instead of their numbers, the letter O instead of a zero",
        )  # fmt: skip
    if _SEVERAL.search(tag):
        raise DataError(
            f"This word has several tags: {shortened(tag)}", where=where, expected="one tag a word",
            remedy="keep one of them; a model of spans side by side knows no overlaps",
        )  # fmt: skip
    if tag in ("O", "o"):
        return "O"
    found = _PREFIX.fullmatch(tag)
    if not found:
        return tag
    prefix, label = found.groups()
    if label is not None and not label.strip():
        raise DataError(f"The tag {tag!r} names no label", where=where, expected="B-PER, I-LOC ...")
    prefix = _PREFIXES.get(prefix, prefix)
    return prefix if label is None else f"{prefix}-{label}"


def _joins(before: str, word: str) -> bool:
    """Whether two neighbours stay two without a blank, or are the letters of one word."""
    foreign = all(char.isalnum() and not _CJK.match(char) for char in (before[-1], word[0]))
    return not foreign or len(before) == len(word) == 1


def _sentences(lines, path, text_column, tag_column) -> Iterator[tuple[str, list[str], list[str]]]:
    """(location, words, tags) of every sentence."""
    given = text_column is not None or tag_column is not None
    text_column, tag_column = text_column or 0, -1 if tag_column is None else tag_column
    width, tabs, where, words, tags = 0, False, "", [], []
    for number, line in enumerate(lines, 1):
        # A byte order mark within the file: several files were joined.
        line, here = line.rstrip(" \t\r\n").removeprefix("\ufeff"), f"{path}:{number}"
        if not line or line.startswith("-DOCSTART-"):
            if words:
                yield where, words, tags
                words, tags = [], []
            continue
        if _COMMENT.match(line):
            continue
        tabs = tabs if width else "\t" in line
        fields = line.split("\t") if tabs else re.split("[ \t]+", line.strip(" "))
        if not width:
            _check_width(fields, given, text_column, tag_column, here, line)
            width = len(fields)
        if not words and len(fields) == width and _is_header(fields[text_column], fields[tag_column]):
            continue
        word = fields[text_column].strip(" ") if len(fields) == width else ""
        if not word:
            raise _misfit(fields, width, tabs, here, line)
        if len(words) == MAX_WORDS:
            raise DataError(
                f"The sentence that begins at {where} has more than {MAX_WORDS:,} words", where=here,
                expected="a blank line after every sentence",
                remedy="running text goes into a .jsonl, with spans",
            )  # fmt: skip
        where = where if words else here
        words.append(word)
        tags.append(checked_tag(fields[tag_column].strip(), here))
    if words:
        yield where, words, tags


def _is_header(word, tag) -> bool:
    return word.strip().casefold() in _HEADER[0] and tag.strip().casefold() in _HEADER[1]


def _check_words(sentences) -> None:
    """Refuses sentences whose words are their own places, as the first column of GermEval's files is."""
    counted = all(words == [str(i + 1) for i in range(len(words))] for _, words, _ in sentences)
    if counted and any(len(words) > 1 for _, words, _ in sentences):
        raise DataError(
            "The first column counts the words", where=sentences[0][0], expected="words in it",
            remedy="say which columns are the words and the tags: --text_column=1 --spans_column=2 "
            '(counted from 0; Python: columns={"text": 1, "spans": 2})',
        )  # fmt: skip


def _check_width(fields, given, text_column, tag_column, where, line) -> None:
    """Refuses a first line that has too few columns, or too many to know which of them is meant."""
    least = max(2, text_column + 1, tag_column + 1, -tag_column)
    if len(fields) >= least and (given or len(fields) <= MAX_COLUMNS):
        return
    raise DataError(
        f"The first line has {len(fields)} columns: {shortened(line)}",
        where=where,
        expected=f"{least} columns or more"
        if given
        else f"a word and its tag, in 2 to {MAX_COLUMNS} columns",
        remedy='texts with spans of characters go into a .jsonl: {"text": ..., "spans": [...]}'
        if len(fields) < least
        else "say which columns they are: --text_column=1 --spans_column=3 (counted from 0)",
    )


def _misfit(fields, width, tabs, where, line) -> DataError:
    ends = "tabs" if tabs else "blanks"
    what = f"The line has {len(fields)} columns, the first one {width}"
    return DataError(
        f"{what if len(fields) != width else 'The word is blank'}: {shortened(line)}", where=where,
        expected=f"{width} columns between {ends}, as in the first line; blank lines between sentences",
        remedy="drop the line, or write its missing columns",
    )  # fmt: skip
