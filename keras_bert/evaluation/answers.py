"""Scores of answers as SQuAD's and CMRC's official scripts count them.

Answers are texts; a question has several right ones, of which the best counts, or none: then "" is right.
"""

import functools
import re
import string
from collections import Counter

import numpy as np

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_ASCII_PUNCTUATION = set(string.punctuation)
# What CMRC's script leaves out: these alone, not all punctuation.
_CMRC_LEFT_OUT = set("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_TWO_IN_ONE = ("can not", "d 'ye", "gim me", "gon na", "got ta", "lem me", "more 'n")
# Where words end, by the Penn Treebank's conventions as far as they touch lower-case text without what is
# left out above: "can't 3.5%." -> ca n't 3.5 % . Applied in this order; blanks then separate the words.
_WORD_ENDS = [
    (re.compile(pattern), spaced)
    for pattern, spaced in (
        (r"[«‘„]", r" \g<0> "),
        (r'^"', " `` "),
        (r"(?<=[ (\[{<])(?:\"|'')", " `` "),
        (r"(?<!\w)'(?=\w)(?!(?:re|ve|ll|[mtsdn])\b)", "' "),
        (r"(?<=[^.])\.(?=[\])}>\"'» ]*\s*$)", " . "),  # the full stop; other points stay in their word
        (r",(\D)", r" , \1"),
        (r",$", " , "),
        (r"\.{2,}|[]\[;@#$%&‒-―?!(){}<>]", r" \g<0> "),
        (r"(?<=[^'])'(?= )", " ' "),
        (r"»", " » "),
        (r"''|\"", " '' "),
        (r"\s+|$", " "),
        (r"(?<=[^' ])(?:'[smd]|')(?= )", r" \g<0>"),
        (r"(?<=[^' ])(?:'ll|'re|'ve|n't)(?= )", r" \g<0>"),
        *((rf"\b({head})({tail})\b", r" \1 \2 ") for head, tail in map(str.split, _TWO_IN_ONE)),
        (r"\bwan(?=na\s)", " wan "),
        (r" 't(?=(?:is|was)\b)", " 't "),
    )
]


# The bootstrap scores the same answers a thousand times. 10,570 questions (SQuAD) have three answers each.
_remembered = functools.lru_cache(maxsize=2**16)


def squad_scores(gold, predictions) -> dict:
    """SQuAD's exact match and F1 of the words, of versions 1.1 and 2.0.

    Args:
        gold: sequence of lists of str. The right answers of every question; [] where there is none.
        predictions: sequence of str. "" says that there is no answer.
    Returns:
        {"exact_match", "f1"}, shares of 1; where questions of both kinds occur also `has_answer_f1`,
        `has_answer_exact_match` and `no_answer_accuracy`.
    Raises:
        ValueError: no questions, or lists of different length.
    Reference: Rajpurkar et al. 2018, https://arxiv.org/abs/1806.03822, and its evaluate-v2.0.py.
    """
    gold = _checked(gold, predictions)
    answerable = np.array([any(answers) for answers in gold])
    gold = _answered(gold)
    rows = [
        (max(float(_normal(p) == _normal(a)) for a in answers), max(_word_f1(a, p) for a in answers))
        for answers, p in zip(gold, predictions, strict=True)
    ]
    exact, f1 = np.array(rows).T
    scores = {"exact_match": float(exact.mean()), "f1": float(f1.mean())}
    if answerable.any() and not answerable.all():
        scores |= {
            "has_answer_exact_match": float(exact[answerable].mean()),
            "has_answer_f1": float(f1[answerable].mean()),
            "no_answer_accuracy": float(f1[~answerable].mean()),
        }
    return scores


def best_null_threshold(gold, predictions, null_scores, metric="squad") -> tuple[float, float]:
    """The threshold of the null score above which "" is the better answer, for the best F1.

    Args:
        gold: as `squad_scores`.
        predictions: sequence of str. The best answers that are not "".
        null_scores: sequence of float. How much likelier no answer is than that one.
        metric: str. "squad" or "cmrc", whose F1 it is.
    Returns:
        (threshold, F1 with it). A question is answered with "" where its null score is above. The threshold
        is in the middle between two scores that occur, where the official script gives the lower one; of
        equally good ones the lowest. That F1 is the metric's own of the answers that remain: questions of one
        null score are answered or declined together.
    Raises:
        ValueError: no questions, lists of different length, or a null score that is no finite number.
    """
    gold = _answered(_checked(gold, predictions))
    nulls = np.asarray(null_scores, np.float64)
    if nulls.shape != (len(gold),) or not np.isfinite(nulls).all():
        raise ValueError(
            "`null_scores` must be one finite number a question. Received: shape "
            f"{nulls.shape}, {len(gold)} questions, {np.count_nonzero(~np.isfinite(nulls))} not finite"
        )
    f1 = _stretch_f1 if metric == "cmrc" else _word_f1
    kept = np.array([max(f1(a, p) for a in answers) for answers, p in zip(gold, predictions, strict=True)])
    declined = np.array([float(answers == [""]) for answers in gold])
    levels, place = np.unique(nulls, return_inverse=True)
    # F1 with the threshold at a level: it and what lies below is answered, the rest declined.
    gain = np.bincount(place, weights=kept - declined, minlength=len(levels)).cumsum() + declined.sum()
    none = declined.sum()  # below all levels
    # What differs by rounding alone is equally good.
    best = int(np.argmax(gain >= gain.max() - 1e-9))
    if none >= gain[best] - 1e-9:
        return float(levels[0]) - 1.0, float(none / len(gold))
    # Between two levels, so that rounding decides nothing.
    above = levels[best + 1] if best + 1 < len(levels) else levels[best] + 1.0
    return float((levels[best] + above) / 2), float(gain[best] / len(gold))


def cmrc_scores(gold, predictions) -> dict:
    """CMRC 2018's exact match and F1: of the longest common stretch of characters and words.

    Args:
        gold: sequence of lists of str. An empty one is a question without an answer, of which CMRC has none:
            both scores of it are 1 where the prediction is "" and 0 elsewhere.
        predictions: sequence of str.
    Returns:
        {"exact_match", "f1"}, shares of 1.
    Raises:
        ValueError: no questions, or lists of different length.
    Reference: Cui et al. 2019, https://arxiv.org/abs/1810.07366, section 4, and its cmrc2018_evaluate.py.
    """
    has_answer = [bool(answers) for answers in gold]
    gold = _checked(gold, predictions)
    exact = [
        max(float(_cmrc_bare(a) == _cmrc_bare(p)) for a in answers)
        for answers, p in zip(gold, predictions, strict=True)
    ]
    f1 = [
        max(_stretch_f1(a, p) for a in answers) if known else is_exact
        for answers, p, known, is_exact in zip(gold, predictions, has_answer, exact, strict=True)
    ]
    return {"exact_match": float(np.mean(exact)), "f1": float(np.mean(f1))}


def _checked(gold, predictions) -> list[list[str]]:
    if len(gold) != len(predictions) or not len(gold):
        raise ValueError(
            "`gold` and `predictions` must have one entry a question. Received: "
            f"{len(gold)} and {len(predictions)} questions"
        )
    return [list(answers) or [""] for answers in gold]


def _answered(gold) -> list[list[str]]:
    """As the official script, answers of which nothing is left are none."""
    return [[answer for answer in answers if _normal(answer)] or [""] for answers in gold]


@_remembered
def _normal(text: str) -> str:
    bare = "".join(char for char in text.lower() if char not in _ASCII_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


@_remembered
def _word_f1(answer: str, prediction: str) -> float:
    ours, theirs = _normal(answer).split(), _normal(prediction).split()
    if not ours or not theirs:
        return float(ours == theirs)
    same = (Counter(ours) & Counter(theirs)).total()
    return 2 * same / (len(ours) + len(theirs))


@_remembered
def _cmrc_bare(text: str) -> str:
    return "".join(char for char in text.lower().strip() if char not in _CMRC_LEFT_OUT)


def _cmrc_parts(text: str) -> list[str]:
    """Ideographs one by one, and what lies between them as words, each stretch taken as one sentence."""
    parts, rest = [], ""
    for char in _cmrc_bare(text):
        if "一" <= char <= "龥":
            parts += [*_words(rest), char]
            rest = ""
        else:
            rest += char
    return parts + _words(rest)


def _words(text: str) -> list[str]:
    for pattern, spaced in _WORD_ENDS:
        text = pattern.sub(spaced, text)
    return text.split()


@_remembered
def _stretch_f1(answer: str, prediction: str) -> float:
    ours, theirs = _cmrc_parts(answer), _cmrc_parts(prediction)
    longest, before = 0, [0] * (len(theirs) + 1)
    for part in ours:
        row = [0]
        for j, other in enumerate(theirs):
            row.append(before[j] + 1 if part == other else 0)
        longest, before = max(longest, *row), row
    return 2 * longest / (len(ours) + len(theirs)) if longest else 0.0
