"""Writes golden_answers.json.xz: what the official scripts' logic gives for 1,000 random small files each.

SQuAD's is transformers' copy of evaluate-v2.0.py, CMRC's soco-mrc's copy of cmrc2018_evaluate.py. That one
strips blanks where punctuation stood at an end, the official one does not: such texts do not occur. NLTK's
words are those of one sentence, for its sentence splitter needs a model.

Run it where they are installed (they are no dependency of the tests; written with transformers 4.57.1,
soco-mrc 0.0.9, itself without its dependencies, and nltk 3.10.4):
    pip install transformers==4.57.1 nltk==3.10.4 && pip install --no-deps soco-mrc==0.0.9
    python tests/evaluation/make_golden_answers.py
"""

import functools
import importlib.metadata
import json
import lzma
import random
from pathlib import Path
from types import SimpleNamespace

import nltk
from soco_mrc.util import ZhAnswerComparator
from transformers.data.metrics.squad_metrics import squad_evaluate

nltk.word_tokenize = functools.partial(nltk.word_tokenize, preserve_line=True)

WORDS = "the a An Cat cat, dog. the-end U.S. 1990 naïve x's 'the' (red) 3.5 $20 über A.".split()
SPACES = (" ", " ", " ", "  ", "\t", "\xa0")
_FOREIGN = (
    r"""：|？|！|’|:|_|*|^|/|\|~|`|+|=|「|」|－|～|『|』|－|＋|【|"""
    r""" cat|Dog |3.5%|1,000|can't|cannot|it's|'tis|"x"| 'y' |U.S.|end.|ok?|"""
    r"""a,b|,| gonna |(b)|[c]|$5|-| - |ab-cd|...|we'll|n't|«q»|’s|é|㐀|"""
    r"""''|x,,y|wanna|9.|).|! |more'n|d'ye|‘z’|—|{;}|@#&|10:30|o'clock"""
)
ZH = (*"我们在北京大学学习了三年，。、《》·…（）“”；　", *_FOREIGN.split("|"))


def squad_text(rng):
    return "".join(rng.choice(WORDS) + rng.choice(SPACES) for _ in range(rng.randint(1, 5))).strip()


def near(rng, text):
    """The text itself, a part of it, or more than it."""
    words = text.split(" ")
    first = rng.randrange(len(words))
    part = " ".join(words[first : rng.randint(first, len(words)) + 1])
    return rng.choice((text, part, part + " " + squad_text(rng), squad_text(rng)))


def squad_case(rng):
    """A file of a few questions; with null scores that differ, and texts of which something is left."""
    gold, predictions = [], []
    for _ in range(rng.randint(1, 6)):
        answers = [squad_text(rng) + " it" for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.1:
            answers.append("the")
        predictions.append("" if rng.random() < 0.15 else near(rng, answers[0]) + rng.choice((" it", " IT!")))
        gold.append([] if rng.random() < 0.35 else answers)
    nulls = [value / 8 for value in rng.sample(range(-40, 40), len(gold))]
    return gold, predictions, nulls


def squad_golden(rng):
    gold, predictions, nulls = squad_case(rng)
    examples = [
        SimpleNamespace(qas_id=str(i), answers=[{"text": text} for text in answers])
        for i, answers in enumerate(gold)
    ]
    scores = squad_evaluate(
        examples,
        {str(i): text for i, text in enumerate(predictions)},
        {str(i): value for i, value in enumerate(nulls)},
        no_answer_probability_threshold=1e9,
    )
    names = ("exact", "f1", "HasAns_exact", "HasAns_f1", "NoAns_f1", "best_f1", "best_f1_thresh")
    return {
        "gold": gold,
        "predictions": predictions,
        "nulls": nulls,
        "scores": [scores.get(n) for n in names],
    }


def cmrc_text(rng):
    return "".join(rng.choice(ZH) for _ in range(rng.randint(1, 8)))


def cmrc_golden(rng):
    official = ZhAnswerComparator()
    bare = functools.partial(official.mixed_segmentation, rm_punc=True)
    gold, predictions, exact, f1 = [], [], [], []
    while len(gold) < 3:
        answers = [cmrc_text(rng) for _ in range(rng.randint(1, 2))]
        prediction = rng.choice(
            (answers[0], answers[0] + cmrc_text(rng), answers[0][1:-1], cmrc_text(rng), "")
        )
        if any(_ends_in_blanks(text) for text in (*answers, prediction)):
            continue
        gold.append(answers)
        predictions.append(prediction)
        exact.append(max(official.compute_em(answer, prediction) for answer in answers))
        f1.append(max(official.compute_f1(answer, prediction) for answer in answers))
    parts = [bare(text) for text in predictions]
    scores = [sum(exact) / len(exact), sum(f1) / len(f1)]
    return {"gold": gold, "predictions": predictions, "parts": parts, "scores": scores}


def _ends_in_blanks(text):
    left = "".join(
        char for char in text.strip() if char not in "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』"
    )
    return left != left.strip()


if __name__ == "__main__":
    rng = random.Random(0)
    document = {name: importlib.metadata.version(name) for name in ("transformers", "soco-mrc", "nltk")}
    document["squad"] = [squad_golden(rng) for _ in range(1000)]
    document["cmrc"] = [cmrc_golden(rng) for _ in range(1000)]
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"
    Path(__file__).with_name("golden_answers.json.xz").write_bytes(lzma.compress(text.encode(), preset=9))
