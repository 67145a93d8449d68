"""Running text to sentences: English, Chinese, Japanese, and what else Unicode has an end of sentence for.

One regular expression finds the marks, in one pass over the text; a few look-ups decide whether each ends a
sentence. The rules are those of Unicode's Annex 29 with abbreviations added, a mark of ASCII asking for
white space after it, and lower case going on with a sentence.
"""

import functools
import re

# Unicode 16's Sentence_Terminal without . ! ? and the other full stops below, and Tibetan's shad.
_FREE = (
    "\u0589\u061d-\u061f\u06d4\u0700-\u0702\u07f9\u0837\u0839\u083d\u083e\u0964\u0965\u0f0d\u0f0e\u104a\u104b"
    "\u1362\u1367\u1368\u166e\u1735\u1736\u17d4\u17d5\u1803\u1809\u1944\u1945\u1aa8-\u1aab\u1b4e\u1b4f\u1b5a"
    "\u1b5b\u1b5e\u1b5f\u1b7d-\u1b7f\u1c3b\u1c3c\u1c7e\u1c7f\u203c\u203d\u2047-\u2049\u2cf9-\u2cfb\u2e2e\u2e3c"
    "\u2e53\u2e54\u3002\ua4ff\ua60e\ua60f\ua6f3\ua6f7\ua876\ua877\ua8ce\ua8cf\ua92f\ua9c8\ua9c9\uaa5d-\uaa5f"
    "\uaaf0\uaaf1\uabeb\ufe12\ufe15\ufe16\ufe56\ufe57\uff01\uff1f\uff61"
)
_FREE_ASTRAL = (
    "\U00010a56\U00010a57\U00010f55-\U00010f59\U00010f86-\U00010f89\U00011047\U00011048\U000110be-\U000110c1"
    "\U00011141-\U00011143\U000111c5\U000111c6\U000111cd\U000111de\U000111df\U00011238\U00011239\U0001123b"
    "\U0001123c\U000112a9\U000113d4\U000113d5\U0001144b\U0001144c\U000115c2\U000115c3\U000115c9-\U000115d7"
    "\U00011641\U00011642\U0001173c-\U0001173e\U00011944\U00011946\U00011a42\U00011a43\U00011a9b\U00011a9c"
    "\U00011c41\U00011c42\U00011ef7\U00011ef8\U00011f43\U00011f44\U00016a6e\U00016a6f\U00016af5\U00016b37"
    "\U00016b38\U00016b44\U00016d6e\U00016d6f\U0001bc9f\U0001da88"
)
_FULL_STOPS = ".…\u2024\ufe52\uff0e"
# Closing brackets and quotation marks (categories Pe and Pf), and the quotation marks that do both.
_CLOSING = (
    "\"')\\]}\xbb\u0f3b\u0f3d\u169c\u2019\u201d\u203a\u2046\u207e\u208e\u2309\u230b\u232a\u2769\u276b"
    "\u276d\u276f\u2771\u2773\u2775\u27c6\u27e7\u27e9\u27eb\u27ed\u27ef\u2984\u2986\u2988\u298a\u298c"
    "\u298e\u2990\u2992\u2994\u2996\u2998\u29d9\u29db\u29fd\u2e03\u2e05\u2e0a\u2e0d\u2e1d\u2e21\u2e23"
    "\u2e25\u2e27\u2e29\u2e56\u2e58\u2e5a\u2e5c\u3009\u300b\u300d\u300f\u3011\u3015\u3017\u3019\u301b"
    "\u301e\u301f\ufd3e\ufe18\ufe36\ufe38\ufe3a\ufe3c\ufe3e\ufe40\ufe42\ufe44\ufe48\ufe5a\ufe5c\ufe5e"
    "\uff02\uff07\uff09\uff3d\uff5d\uff60\uff63"
)
_NEWLINES = "\n\r\x85\u2028\u2029"
_LEADING = "\"'(\\[{“‘„‚«‹¿¡*_\\-–—「『（《〈【"  # what may stand before the first letter of a sentence
_CONTINUING = frozenset(",:;、，：；､،؛")  # no sentence begins with one
_EAST_ASIAN = "\u2e80"  # where the scripts begin that leave no space after a sentence

# Never the end of a sentence; the end but before a number; the end only before a word that often begins one.
_NEVER, _NUMBER, _BEGINNER = range(3)
_ABBREVIATIONS = {
    **dict.fromkeys(
        "Mr Mrs Ms Messrs Mme Mlle Dr Drs Prof Rev Hon Gen Col Lt Capt Cmdr Maj Sgt Cpl Adm Gov Sen Sens Rep "
        "Reps Pres St Ste Mt Ft Supt vs v viz cf Cf ca approx resp incl esp e.g E.g i.e I.e eg ie "
        "z.B d.h bzw mr mrs ms dr prof".split(),
        _NEVER,
    ),
    **dict.fromkeys(
        "No Nos no nos Nr p pp P Pp Vol Vols vol vols Fig Figs fig figs Eq Eqs eq eqs Ch ch Chap chap Sec "
        "Sect sec sect Art art Op op Para para Ver ver c "
        "Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec".split(),
        _NUMBER,
    ),
    **dict.fromkeys(
        "etc al Inc Ltd Co Corp Jr Sr Bros Esq Dept Univ Assn Ave Blvd Rd Ph.D usw".split(), _BEGINNER
    ),
}
_BEGINNERS = frozenset(
    "The This That These Those It Its He She We They You His Her Their Our My There Then In On At As And But "
    "So If When While After Before However For From With One Some What Why How Who Not Although Though Since "
    "Because Despite Also Most Many".split()
)
_LONGEST = max(map(len, _ABBREVIATIONS)) + 2  # with a bracket or a quotation mark before it
_INITIALS = re.compile(r"[^\W\d_](?:\.-?[^\W\d_])*")  # J   J.-P   U.S.A   a.m
_ITEM = re.compile(r"\d{1,3}|[^\W\d_]|[ivxIVX]{1,4}")  # the number of a list's item or of a heading
_WORD = re.compile(r"\w+")
_ASTRAL = re.compile("[\U00010a56-\U0001da88]")


def split_sentences(text: str) -> list[str]:
    """Splits running text into sentences; nothing but white space is lost.

        'Dr. No paid $3.50. "Why?" he asked.'  ->  ['Dr. No paid $3.50.', '"Why?" he asked.']
        "他说：“好。”然后走了！真的"             ->  ["他说：“好。”", "然后走了！", "真的"]

    Closing quotation marks and brackets stay with the sentence they close. A newline ends a sentence. Takes
    time linear in the text, whatever is in it.

    Args:
        text: str.

    Returns:
        List of str: without white space around them, none empty.
    """
    marks = _marks(not text.isascii() and _ASTRAL.search(text) is not None)
    sentences, begin = [], len(text) - len(text.lstrip())
    for match in marks.finditer(text, begin):
        if _is_end(text, begin, match):
            if sentence := text[begin : match.end("run")].rstrip():
                sentences.append(sentence)
            begin = match.end()
    rest = text[begin:].strip()
    return [*sentences, rest] if rest else sentences


@functools.cache
def _marks(with_astral: bool) -> re.Pattern:
    """A newline, or a run of marks with what closes after it; then the blanks, and the next letter.

    Code points over U+FFFF slow a set down, so that only a text which has such marks is searched for them.
    Every part takes all it can and gives nothing back, which bounds the time; one set at the very beginning
    lets `re` run through what lies between.
    """
    end = f"{_FREE}{_FULL_STOPS}!?{_FREE_ASTRAL if with_astral else ''}"
    # “ and « open in one language and close in another: here they close where white space follows.
    either_way = r"(?:[“‘«‹](?!\S)|[\xa0\u202f]++[»›])?+"
    return re.compile(
        f"(?P<run>[{end}{_NEWLINES}](?:(?<![{_NEWLINES}])[{end}{_CLOSING}]*+{either_way})?+)"
        f"(?P<blanks>[^\\S{_NEWLINES}]*+)(?=[{_LEADING}]*+(?P<next>.?))",
        re.DOTALL,
    )


def _members(character_class: str) -> frozenset[str]:
    """The characters that stand for themselves or within a range in a regular expression's [...]."""
    ranges = re.findall("(.)(?:-(.))?", character_class, re.DOTALL)
    return frozenset(
        chr(point) for first, last in ranges for point in range(ord(first), ord(last or first) + 1)
    )


_FREE_MARKS = _members(_FREE + _FREE_ASTRAL)
_MARKS = _FREE_MARKS | frozenset(_FULL_STOPS + "!?")


def _is_end(text: str, begin: int, match: re.Match) -> bool:
    """Whether a match of `_marks` ends the sentence that begins at `begin`."""
    run, blanks, following = match.groups()
    if not following or following in _NEWLINES or run in _NEWLINES:  # of the text, or of the line
        return True
    if following in _CONTINUING or following in _MARKS:
        return False
    if run == ".":
        if not blanks:
            before = text[max(begin, match.start() - 1)]
            return before >= _EAST_ASIAN <= following and not following.isdecimal()
        return not following.islower() and not _is_abbreviation(
            text, begin, match.start(), match.start("next")
        )
    if not _FREE_MARKS.isdisjoint(run):
        return True
    if not blanks and (following < _EAST_ASIAN or following.isdecimal()):
        return False
    if "!" in run or "?" in run:  # "Why?" he asked
        return not (following.islower() and run[-1] not in "!?.")
    return not following.islower()


def _is_abbreviation(text: str, begin: int, stop: int, after: int) -> bool:
    """Whether the word before the full stop at `stop` is one that does not end the sentence here."""
    first = stop - _LONGEST
    if first <= begin:
        if _ITEM.fullmatch(text, begin, stop):
            return True
        first = begin
    word = text[first:stop].rpartition(" ")[2].lstrip("(['\"“‘„")
    kind = _ABBREVIATIONS.get(word)
    if kind is None:
        if not _INITIALS.fullmatch(word):
            return False
        kind = _BEGINNER if word[0].isupper() or len(word) > 1 else _NUMBER
    if kind == _NUMBER:
        return text[after].isdecimal()
    following = _WORD.match(text, after)
    return kind == _NEVER or following is None or following[0] not in _BEGINNERS
