"""Writes golden_words.json: texts, and the words Google's BasicTokenizer makes of them, uncased and cased.

    python tests/text/make_golden_words.py tests/text/golden_words.json        # Python 3.11 (Unicode 14)

Every stretch of code points that Unicode treats alike gives its first and its last one, written `a<c>b`;
then come all that turn into more than one character, a sample of those with a decomposition, and texts in
which a character depends on its neighbours.
"""

import json
import sys
import unicodedata

import google_reference

from keras_bert.text.normalization import CAPITAL_SIGMA as SIGMA

SAMPLE_EVERY = 40
CONTEXTS = (
    "",
    " ",
    "unaffable",
    "ah博推zz",
    "[CLS] no special token [SEP] from text [MASK]",
    "Höllo, Wörld! naïve café cafe\u0301",
    "a\u0000b\u0001c\u200dd\ufeffe\ufffdf\u00adg",
    "line\nline\ttab\rreturn\x0bvertical\x0cform\x85next",
    "no\u00a0break\u3000wide\u2028line\u2029paragraph\u1680ogham",
    "ＦＵＬＬ，ｗｉｄｔｈ！（１２３）",
    "中文字𠀀豈\U0002f800、かなカナ。한국어 각 ᄀ",
    "我\u0301们\u3099",
    "ΟΔΟΣ ΟΔΟΣ. ΟΔΟΣΑ Σ ΣΣ ΑΣ\u0301 Α\u0301Σ ΑΣ\u0301Α Α'Σ ΑΣ'Α Α.Σ Α:Σ Α\u00adΣ Α\u0000Σ ΑΣ\u0000Α",
    "ΑΣ中 中Σ中 Α中Σ ʰΣ ͅΣ ªΣ 1Σ ⅧΣ",
    "İSTANBUL ıi ẞß ŉ ǅ ǆ Ⅷ Ω Ω K Å",
    "\u302e\u1b44 \u1b44\u302e a\u302e\u0301\u1b44b \u302e\u1b36\u1b44 \u302e\u200d\u1b44 \u302e \u1b44",
    "\U0001d15e\U0001d165\U0001d16d\U0001d166 \U0001d16d\U0001d172\U0001d165",
    "q\u0307\u0323 q\u0323\u0307 \u0344 \u0f43\u0cca\u0f71",
    "$9.99 a_b x=y~z 100% 3+4 <tag> `code` ^up |pipe| #tag @home",
    "“quoted” «words» — dash… ‘it’s’ ¿qué? ¡no! 。。",
    "👨‍👩‍👧 emoji ☺️ 🇩🇪 1️⃣",
    "a" * 200,
    "a" * 201,
    "é" * 200,
    "é" * 201,
    "中" * 201,
    "ไทย" * 66 + "กก",
    "ไทย" * 67,
)


def chosen_code_points() -> list[int]:
    """The edges of every stretch that is treated alike, and characters that change in some way."""
    points = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    chosen, previous, before = set(), None, 0
    for point in points:
        char = chr(point)
        # Private use and unassigned stretches are long and alike; marks and punctuation matter most.
        kind = (unicodedata.category(char), google_reference.words(f"a{char}b") == [f"a{char}b"])
        if kind != previous and (kind[0] not in ("Lu", "Ll", "No", "So", "Sm") or point % 4 == 0):
            chosen |= {before, point}
        if len(unicodedata.normalize("NFD", char.lower())) > 2 and (
            point < 0xAC00 or point % SAMPLE_EVERY == 0
        ):
            chosen.add(point)
        elif char.lower() != char and point % SAMPLE_EVERY == 0:
            chosen.add(point)
        previous, before = kind, point
    chosen |= {ord(SIGMA), 0xD7A3, 0x10FFFF}
    return sorted(chosen)


def rows() -> list[list[str]]:
    """[text, words uncased, words cased]; words are joined by a space."""
    texts = [f"a{chr(point)}b" for point in chosen_code_points()] + list(CONTEXTS)
    return [
        [text, *(" ".join(google_reference.words(text, lowercase=lowercase)) for lowercase in (True, False))]
        for text in texts
    ]


if __name__ == "__main__":
    if not google_reference.knows_unicode_14:
        sys.exit(f"Unicode 14 (Python 3.11) is needed; this Python has {unicodedata.unidata_version}")
    with open(sys.argv[1], "w", encoding="utf-8", newline="\n") as file:
        file.write("[\n" + ",\n".join(json.dumps(row) for row in rows()) + "\n]\n")
