"""Running text into sentences: where they end, where they do not, and that nothing is lost."""

import gzip
import json
import random
import re
import time
import unicodedata

import pytest

from keras_bert.corpus import sentences
from keras_bert.corpus.sentences import split_sentences

# Sentences between bars.
SPLIT = [
    "One.|Two!|Three?|Four",
    'He left.|“Why?”|(Nobody knows.)|\'Tis so.|"Go!"|[Come.]|—No.',
    'Dr. No paid $3.50.|"Why?" he asked.',
    "Mr. Smith met Mrs. Jones, Prof. Lee and St. John vs. The Rock.|They left.",
    "See e.g. Figure 2, i.e. Fig. 3, No. 5, pp. 7 and Vol. 9.|Then cf. Bach.",
    "I said no.|Then he left.",
    "The U.S. Senate, the U.K. Parliament and J. K. Rowling agree.|J.-P. Sartre does not.",
    "They live in the U.S.|The rest do not.|Acme Inc.|It failed.|We met at 5 p.m.|He was late.",
    "It is plan B.|They chose A. Smith.",
    "Pi is 3.14 or .5 of it, v1.2.3, example.com, a.b.",
    "Wait...|What?|No ... not so. . . .|Yes…|Well… perhaps.",
    "What?!|Yes!!!|No?..|maybe.",
    "1. Open the file.|2. Close it.|It was 1990.|The end.|I. Introduction to it.",
    "He said so. and left. (and came back.)|Yes!|and no?|maybe",
    "Yahoo!Answers and a?b=c stay.|So does etc., and so on.",
    "One\n|two\r\n|three\u2028|four\n\n \n|five",
    "«Quoi\xa0?\xa0»|«Rien.»|„Was?“|„Nichts.“|Gut.",
    "你好。|他说：“好！”|然后走了……|真的吗？！|是",
    "他说：“好！”，走了。|「はい。」|『いいえ』。|（注。）|それから、ＡＢＣ！|終わり｡|次",
    "这里很好.|我喜欢!|价格是3.5元,用iPhone.不错?|是３．１４或４.５。|好．|是",
    "यह सच है।|वह आया॥|ہاں۔|هل هذا؟|نعم.|Այո։|ነው።|ཡིན།|ပါ။|បាទ។|end",
    "Ø. Ås kom.|А. С. Пушкин писал.|Он умер.",
    "a \U00011047|b \U0001da88|c",
]


@pytest.mark.parametrize("marked", SPLIT)
def test_sentences_end_where_the_bars_are(marked):
    for gap in (" ", "\t", "  "):
        # Where the writing leaves no gap, none is put.
        text = re.sub(r"([.!?…\"'”“»)\]])\|(?=[^\u2e80-\uffff])", rf"\1{gap}", marked).replace("|", "")
        assert split_sentences(text) == [part.strip() for part in marked.split("|")]


def test_the_example_of_the_docstring():
    assert split_sentences("他说：“好。”然后走了！真的") == ["他说：“好。”", "然后走了！", "真的"]
    assert split_sentences("") == split_sentences(" \n\t ") == []


def test_every_end_of_a_sentence_that_unicode_has_is_one():
    for mark in sentences._FREE_MARKS:
        assert split_sentences(f"x{mark}{mark}y") == [f"x{mark}{mark}", "y"]
    known = [mark for mark in sentences._FREE_MARKS if unicodedata.category(mark) != "Cn"]
    assert len(known) > 150 and {unicodedata.category(mark) for mark in known} <= {"Po", "So", "Lo"}
    for mark in "!?.\u2024\ufe52\uff0e":
        assert split_sentences(f"word{mark} Next") == [f"word{mark}", "Next"]


def test_every_closing_bracket_stays_with_its_sentence():
    for point in range(0x10000):
        if unicodedata.category(chr(point)) in ("Pe", "Pf"):
            assert split_sentences(f"x。{chr(point)}y") == [f"x。{chr(point)}", "y"], hex(point)


def test_nothing_but_white_space_is_lost_whatever_the_text():
    rng = random.Random(0)
    pieces = [
        *".!?…。！？।؟\n\r\t \u3000\xa0\x85\u2028\"'”’」)(“«»,;-",
        *"a B Dr e.g. 程序 \U00011047 3".split(),
        "\x1c",
    ]
    for _ in range(3000):
        text = "".join(rng.choices(pieces, k=rng.randint(0, 40)))
        found = split_sentences(text)
        assert all(found) and found == [sentence.strip() for sentence in found]
        assert "".join("".join(found).split()) == "".join(text.split())
        assert not any(set(sentence) & set("\n\r\x85\u2028\u2029") for sentence in found)


@pytest.mark.parametrize(
    "unit",
    [".", ". ", ".(", '."', "Mr. ", "a.", "a. ", ".\xa0", "\n", ".“", "( ", ". .(", "!\n", "\U00010b00."],
)
def test_time_grows_with_the_text_only(unit):
    def seconds(size):
        begun = time.process_time()
        split_sentences((unit * size)[:size])
        return time.process_time() - begun

    assert seconds(1_000_000) < 5  # where it were its square: hours
    assert seconds(100) < 1


def test_nothing_of_real_reviews_and_help_pages_is_lost(data_folder):
    for name, column in (("imdb_reviews", "text"), ("libreoffice-help.zh-CN", "lines")):
        num_sentences = num_characters = 0
        with gzip.open(data_folder / "corpora" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line, _ in zip(lines, range(2000), strict=False):
                text = json.loads(line)[column]
                text = text if isinstance(text, str) else "\n".join(text)
                found = split_sentences(text)
                assert "".join("".join(found).split()) == "".join(text.split())
                num_sentences, num_characters = num_sentences + len(found), num_characters + len(text)
        assert 10 < num_characters / num_sentences < 150
