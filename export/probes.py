"""What an export is asked before it is published: texts, and the ids the model makes of them."""

import dataclasses

import numpy as np

from keras_bert.export.asking import (
    answered,
    batches_of,
    features_of,
    ids_of,
    one_by_one,
    padded,
    row_of,
    sequences_of,
    texts_one_by_one,
)
from keras_bert.export.proof import Question
from keras_bert.export.signatures import part_signatures

# From one word to longer than any model reads, in several scripts, and what no one should send.
TEXTS = (
    "A warm, funny and deeply moving film.",
    "no",
    "The second half drags, and the ending, which I will not give away, made me want my money back.",
    "Crème brûlée à l'hôtel, naïve façade, ÅNGSTRÖM straße",
    "我是程序员，喜欢看电影。",
    "Это был лучший ужин за весь год! ありがとう 감사합니다",
    "",
    " \t\n ",
    "[CLS] not a [SEP] real [MASK] token",
    "a\x00b \ufffd zero\u200bwidth \u202eright to left 👩‍👩‍👧 ﬁ ㎏ İ Σς",
    "supercalifragilistic" * 15,
    "word by word this text grows longer than anything the model can read " * 60,
)
BATCH_SIZES = (1, 2, 7)  # of the texts above, in turn
EXTRA_PADDING = 3


def text_questions(bert, signatures: dict) -> list:
    """Questions in strings, to every text signature.

    Args:
        bert: `Bert` with a task.
        signatures: dict of str to sequence of str. The columns each takes.
    """
    questions = []
    for name, columns in signatures.items():
        asked = asked_by(bert, name, columns)
        questions += [
            Question(name, texts, answered(asked.answerer.text, texts))
            for texts in batches_of(_built_in(columns, bert.task.list_columns), BATCH_SIZES)
        ]
    return questions


def asked_by(bert, signature: str, columns):
    """The `Bert` whose texts a signature reads: a part of a task that has parts, or the whole."""
    part = next((part for part in bert.task.parts if signature in part_signatures(part, columns)), None)
    return bert if part is None else bert.part(part)


def ids_questions(bert, signature: str, portable=False) -> list:
    """Questions in ids, some with more padding than they need, filled with what must not be read.

    `portable`: answered as `signatures.ids_signature` does with it.
    """
    questions, task = [], bert.task
    answerer = bert.portable_answerer if portable else bert.answerer
    texts_of_task = _built_in((*_required(task), *task.optional_columns), task.list_columns)
    for number, texts in enumerate(batches_of(texts_of_task, BATCH_SIZES)):
        inputs = ids_of(sequences_of(features_of(task, texts, bert.answerer.tokenizer)))
        longer = inputs["token_ids"].shape[1] + EXTRA_PADDING
        if number % 2 == 0 and longer <= bert.config.max_sequence_length:
            for name in ("token_ids", "segment_ids"):
                inputs[name] = np.pad(inputs[name], [(0, 0), (0, EXTRA_PADDING)], mode="edge")
        questions.append(Question(signature, inputs, answered(answerer.ids, **inputs)))
    return questions


def static_questions(bert, signature: str, length: int) -> list:
    """Questions in ids, one row each, padded to `length`; the expected answers are without strings.

    Args:
        bert: `Bert` with a task.
        signature: str.
        length: int. Texts are truncated and padded to so many tokens.
    """
    task, questions = bert.task.resized(length), []
    for columns in dict.fromkeys([_required(task), (*_required(task), *task.optional_columns)]):
        for texts in batches_of(_built_in(columns, task.list_columns), BATCH_SIZES):
            features = padded(features_of(task, texts, bert.answerer.tokenizer), length)
            asked = one_by_one(bert, signature, sequences_of(features))
            questions += _with_texts(asked, texts, features)
    return questions


def static_text_questions(bert, signatures: dict, length: int, tokenizer) -> list:
    """Questions in one text each, of those that `tokenizer` reads as the model's own does.

    Args:
        bert: `Bert` with a task.
        signatures: dict of str to sequence of str. The columns each takes.
        length: int. As of `static_questions`.
        tokenizer: `DenseTokenizer`.
    """
    questions = []
    for name, columns in signatures.items():
        asked = asked_by(bert, name, columns)
        task = asked.task.resized(length)
        for texts in batches_of(_built_in(columns), (1,)):
            ours = padded(features_of(task, texts, bert.answerer.tokenizer), length)
            theirs = features_of(task, texts, tokenizer)
            if all(np.array_equal(ours[feature], theirs[feature]) for feature in theirs):
                questions += texts_one_by_one(asked, name, texts, sequences_of(ours))
    return questions


def _with_texts(questions, texts, features) -> list:
    """The questions, each with the text that its sequence is made of; those of choices have several."""
    if features["token_ids"].ndim > 2:
        return questions
    rows = features.get("row", np.arange(len(questions)))
    return [dataclasses.replace(q, texts=row_of(texts, row)) for q, row in zip(questions, rows, strict=True)]


def _required(task) -> tuple:
    return (*task.columns, *task.list_columns)


def _built_in(columns, list_columns=()) -> dict:
    """The built-in texts in every column, each column beginning at another of them; two in every list."""

    def texts_from(start):
        return [*TEXTS[start:], *TEXTS[:start]]

    return {
        name: list(map(list, zip(texts_from(-3 * i), texts_from(-3 * i - 1), strict=True)))
        if name in list_columns
        else texts_from(-3 * i)
        for i, name in enumerate(columns)
    }
