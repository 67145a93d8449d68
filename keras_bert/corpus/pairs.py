"""The law of pairs, as Google published it: documents to `[CLS] A [SEP] B [SEP]`.

Sentences are collected until they fill an example, whose length is the longest allowed, or with the
probability `short_seq_prob` one drawn from 2 up. A random number of them, at least one, is A. Half of the
time B is the rest; else, and where there is no rest, it is text from a random place of a random other
document, and the rest is used again. What is too long is trimmed at the front or the back of the longer
segment, a fair coin for each piece.

Source: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, appendix A.2, and `create_pretraining_data.py`.
"""

import bisect
import dataclasses
import random
from collections.abc import Sequence

import numpy as np

from keras_bert.corpus.examples import NO_PAIR, Examples, concatenated
from keras_bert.corpus.random_numbers import bits_of
from keras_bert.corpus.settings import CorpusSettings
from keras_bert.corpus.tokens import TokenDocument

_PAIRING = 2  # this use of the random numbers
_TRIES = 10  # to draw another document
_BLOCK = 8192  # examples put together at a time, which bounds the memory


@dataclasses.dataclass
class _Spans:
    """Where the segments of the examples lie in the ids of all documents, end to end."""

    a_begin: list[int] = dataclasses.field(default_factory=list)
    a_end: list[int] = dataclasses.field(default_factory=list)
    b_begin: list[int] = dataclasses.field(default_factory=list)
    b_end: list[int] = dataclasses.field(default_factory=list)
    label: list[int] = dataclasses.field(default_factory=list)

    def add(self, a, b, label):
        self.a_begin.append(a[0])
        self.a_end.append(a[1])
        self.b_begin.append(b[0])
        self.b_end.append(b[1])
        self.label.append(label)


def pair(
    documents: Sequence[TokenDocument],
    settings: CorpusSettings,
    copy: int,
    special_ids: tuple[int, int],
    others: Sequence[TokenDocument] = (),
) -> Examples:
    """The examples of some documents.

    Args:
        documents: sequence of TokenDocument.
        settings: CorpusSettings.
        copy: int. Which of `settings.copies` this is; each is drawn anew.
        special_ids: tuple of int. The ids of [CLS] and [SEP].
        others: sequence of TokenDocument. Where random text comes from if `documents` are one document only.

    Returns:
        Examples, in the order of the documents. An example depends on the documents, `settings` and `copy`.
    """
    everything = [*documents, *others]
    if not everything:
        return _built(everything, _Spans(), special_ids, settings.next_sentence)
    starts = np.concatenate([[0], np.cumsum([len(document.token_ids) for document in everything])]).tolist()
    ends = [
        (start + np.cumsum(document.lengths)).tolist()
        for start, document in zip(starts, everything, strict=False)
    ]
    spans = _Spans()
    for number, document in enumerate(documents):
        rng = random.Random(bits_of(settings.random_seed, _PAIRING, *document.place, copy))
        if settings.next_sentence:
            _pair_one(number, everything, len(documents), starts, ends, settings, rng, spans)
        else:
            _fill_one(starts[number], ends[number], settings, rng, spans)
    return _built(everything, spans, special_ids, settings.next_sentence)


def _pair_one(number, documents, num_own, starts, ends, settings, rng, spans):
    """The pairs of one document."""
    longest = settings.max_seq_length - 3
    bounds = [starts[number], *ends[number]]  # sentence i is bounds[i] to bounds[i + 1]
    num_sentences, target = len(bounds) - 1, _target(longest, settings, rng)
    first = sentence = 0
    while sentence < num_sentences:
        sentence += 1
        if sentence < num_sentences and bounds[sentence] - bounds[first] < target:
            continue
        num_collected = sentence - first
        split = first + (rng.randint(1, num_collected - 1) if num_collected > 1 else 1)
        a = bounds[first], bounds[split]
        other = None
        if num_collected == 1 or rng.random() < 0.5:
            other = _another(number, documents, num_own, rng)
        if other is not None:
            label, b = 1, _random_text(starts[other], ends[other], target - (a[1] - a[0]), rng)
            sentence = split  # what was not used is used again
        else:
            label, b = 0, (bounds[split], bounds[sentence])
        if b[0] < b[1]:
            spans.add(*_trimmed(a, b, longest, rng), label)
        first, target = sentence, _target(longest, settings, rng)


def _fill_one(start, ends, settings, rng, spans):
    """The single segments of one document."""
    longest = settings.max_seq_length - 2
    bounds, first, target = [start, *ends], 0, _target(longest, settings, rng)
    for sentence in range(1, len(bounds)):
        if sentence < len(bounds) - 1 and bounds[sentence] - bounds[first] < target:
            continue
        begin, end = bounds[first], bounds[sentence]
        cut = max(0, end - begin - longest)
        front = rng.getrandbits(cut).bit_count() if cut else 0
        spans.add((begin + front, end - cut + front), (end, end), NO_PAIR)
        first, target = sentence, _target(longest, settings, rng)


def _target(longest, settings, rng) -> int:
    return rng.randint(2, longest) if rng.random() < settings.short_seq_prob else longest


def _another(number, documents, num_own, rng) -> int | None:
    """A document that is not this one, nor another part of it."""
    own = documents[number].place[:2]
    for _ in range(_TRIES):
        other = rng.randrange(num_own)
        if documents[other].place[:2] != own:
            return other
    elsewhere = [index for index, document in enumerate(documents) if document.place[:2] != own]
    return rng.choice(elsewhere) if elsewhere else None


def _random_text(start, ends, length, rng) -> tuple[int, int]:
    """Whole sentences from a random one on, until there are `length` pieces."""
    first = rng.randrange(len(ends))
    begin = ends[first - 1] if first else start
    last = min(bisect.bisect_left(ends, begin + length, lo=first), len(ends) - 1)
    return begin, ends[last]


def _trimmed(a, b, longest, rng):
    """Both segments, cut to `longest` pieces together."""
    a_length, b_length = a[1] - a[0], b[1] - b[0]
    excess = a_length + b_length - longest
    if excess <= 0:
        return a, b
    # One by one from the longer segment, from B where both are of one length.
    from_a = min(excess, max(0, a_length - b_length))
    from_b = min(excess, max(0, b_length - a_length))
    rest = excess - from_a - from_b
    return _cut(a, from_a + rest // 2, rng), _cut(b, from_b + rest - rest // 2, rng)


def _cut(segment, count, rng):
    """The segment without `count` pieces, each taken from its front or its back by the toss of a coin."""
    if not count:
        return segment
    front = rng.getrandbits(count).bit_count()
    return segment[0] + front, segment[1] - (count - front)


def _built(documents, spans: _Spans, special_ids, with_pairs: bool) -> Examples:
    """The ids that the spans stand for, with [CLS] and [SEP] around them; some examples at a time."""
    token_ids = np.concatenate([np.empty(0, np.uint16), *(document.token_ids for document in documents)])
    flags = [document.continues for document in documents]
    flags = np.concatenate(flags) if flags and flags[0] is not None else None
    parts = []
    for begin in range(0, len(spans.label), _BLOCK):
        block = _Spans(**{name: values[begin : begin + _BLOCK] for name, values in vars(spans).items()})
        parts.append(_built_block(token_ids, flags, block, special_ids, with_pairs))
    return concatenated(parts)


def _built_block(all_ids, all_flags, spans: _Spans, special_ids, with_pairs: bool) -> Examples:
    cls_id, sep_id = special_ids
    a_begin, a_end = np.array(spans.a_begin, np.int64), np.array(spans.a_end, np.int64)
    b_begin, b_end = np.array(spans.b_begin, np.int64), np.array(spans.b_end, np.int64)
    a_length, b_length = a_end - a_begin, b_end - b_begin
    lengths = a_length + 2 + (b_length + 1 if with_pairs else 0)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    b_starts = a_length + 2
    token_ids = np.full(starts[-1], sep_id, np.int32)
    token_ids[starts[:-1]] = cls_id
    continues = None if all_flags is None else np.zeros(starts[-1], bool)
    for begin, length, target in ((a_begin, a_length, 1), (b_begin, b_length, b_starts)):
        within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        sources = np.repeat(begin, length) + within
        targets = np.repeat(starts[:-1] + target, length) + within
        token_ids[targets] = all_ids[sources]
        if continues is not None:
            continues[targets] = all_flags[sources]
    b_starts = b_starts if with_pairs else lengths
    return Examples(token_ids, starts, b_starts.astype(np.int32), np.array(spans.label, np.int8), continues)
