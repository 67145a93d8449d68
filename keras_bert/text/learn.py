"""Learning a WordPiece vocabulary: our normalisation and counts, the merges of Hugging Face's `tokenizers`.

    texts -> counted normalised words -> alphabet -> merges, most frequent pair first -> those in use

What is learnt is what is used: words are counted exactly as `Tokenizer` will cut texts into them. The same
texts and settings give the same vocabulary, byte for byte, whatever the number of processes.
"""

import collections
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator

from keras_bert.errors import DataError, UsageError
from keras_bert.text.alphabet import choose_alphabet, count_characters, forms_that_fit
from keras_bert.text.vocabulary import CLS, MASK, PAD, SEP, UNK, Vocabulary
from keras_bert.text.word_counts import Counting, WordCounts, count_words
from keras_bert.text.wordpiece import CONTINUATION, WordPiece

_UNUSED_BEFORE_UNK = 99  # Google's uncased vocabulary: [PAD] 0, [unused0] .. [unused98], [UNK] 100
_FEED_CHARACTERS = 10_000  # handed to the trainer at a time
_SPARE = 1.25  # learnt for each piece wanted, some being of no use

Progress = Callable[[str, int, int | None], None]


@dataclasses.dataclass(frozen=True)
class VocabularyReport:
    """What was learnt, and how well it covers texts it was not learnt from.

    Args:
        pieces: int. Of the vocabulary; fewer than asked for where the texts hold no more.
        texts: int. Learnt from.
        words: int. Learnt from, each occurrence counted; punctuation marks and ideographs are words.
        different_words: int.
        too_long_words: int. Left out: BERT reads words of more than 200 characters as [UNK].
        forgotten_words: int. Occurrences of rare words that were dropped to bound the memory.
        characters: int. Different ones in the vocabulary.
        different_characters: int. In the texts.
        character_coverage: float or None. Share of the texts' characters that the vocabulary has.
        held_out_texts: int.
        held_out_words: int.
        held_out_unk_rate: float or None. Share of the held-out words that become [UNK].
        held_out_pieces_per_word: float or None. An [UNK] is one piece.
        seconds: float.
    """

    pieces: int
    texts: int
    words: int
    different_words: int
    too_long_words: int
    forgotten_words: int
    characters: int
    different_characters: int
    character_coverage: float | None
    held_out_texts: int
    held_out_words: int
    held_out_unk_rate: float | None
    held_out_pieces_per_word: float | None
    seconds: float


def learn_vocabulary(
    texts: Iterable[str],
    size: int = 30_000,
    *,
    lowercase: bool = True,
    strip_accents: bool | None = None,
    split_chinese: bool = True,
    min_frequency: int = 2,
    limit_alphabet: int | None = None,
    num_unused: int = 0,
    eval_texts: Iterable[str] | None = None,
    held_out: float = 0.01,
    seed: int = 0,
    num_workers: int = 1,
    progress: Progress | None = None,
) -> tuple[Vocabulary, VocabularyReport]:
    """Learns the pieces of a WordPiece vocabulary from texts.

        vocabulary, report = learn_vocabulary(open("corpus.txt"), size=8000)
        vocabulary.save("vocab.txt")

    The texts are read once and never held together: memory grows with the number of different words, up to
    10 million, after which the rarest are forgotten. Every character of the alphabet is a piece, also as a
    continuation (`##x`) if it occurs as one. An ideograph is a word of its own and therefore always a whole
    piece, unless `split_chinese` is False. Words with a character outside the alphabet are not learnt from.
    Pieces that WordPiece's search for the longest one would not use are left out.

    Args:
        texts: iterable of str.
        size: int. Pieces, special tokens included. Short texts may hold fewer.
        lowercase: bool. As of the `Tokenizer` that will use the vocabulary, like the two that follow.
        strip_accents: bool or None.
        split_chinese: bool.
        min_frequency: int. A pair of pieces seen less often is not merged.
        limit_alphabet: int or None. Keep that many characters, the most frequent. None means as many as
            fit into half of the vocabulary, but 99.95 % of all that is written at least, and what room the
            merges leave.
        num_unused: int. `[unused..]` slots to reserve; 994 gives the layout of Google's uncased vocabulary.
        eval_texts: iterable of str or None. Texts to measure on; None means those that are held out.
        held_out: float in [0, 1). Share of the texts not to learn from, where there are no `eval_texts`.
        seed: int. Decides which texts are held out.
        num_workers: int. Processes that count. With more than one, a script must do its work under
            `if __name__ == "__main__":`.
        progress: callable or None. Called as `progress("counting", texts, None)`, then as
            `progress("learning", words, all words)`.

    Returns:
        (`Vocabulary`, `VocabularyReport`).

    Raises:
        DataError: there are no words in the texts, or something in them is no str.
        VocabularyError: `size` has no room for the special tokens and the alphabet.
        UsageError: an argument out of its range.
        TrainingError: a worker process died.
    """
    started = time.perf_counter()
    _check(size, min_frequency, limit_alphabet, num_unused, held_out, seed, num_workers)
    strip_accents = lowercase if strip_accents is None else strip_accents
    counting = Counting(
        bool(lowercase), bool(strip_accents), bool(split_chinese), held_out if eval_texts is None else 0, seed
    )

    def count(source, options):
        step = None if progress is None else lambda texts: progress("counting", texts, None)
        return count_words(source, options, num_workers, progress=step)

    counts, evaluation = count(texts, counting)
    if not counts.words:  # one text alone may have been held out
        counts, evaluation = evaluation, WordCounts()
    if not counts.words:
        raise DataError("There are no words in the texts", where=f"{counts.num_texts} texts")
    if eval_texts is not None:
        evaluation, _ = count(eval_texts, dataclasses.replace(counting, held_out=0))

    frame = _frame(num_unused)
    characters = count_characters(counts.words)
    alphabet, spare = choose_alphabet(characters, size - len(frame), limit_alphabet, size)
    learnt = _learn_pieces(counts.words, alphabet, size - len(frame), min_frequency, progress)
    pieces, unused = _in_use(learnt, counts.words, size - len(frame), min_frequency)
    pieces += forms_that_fit(spare, size - len(frame) - len(pieces)) if limit_alphabet is None else []
    vocabulary = Vocabulary([*frame, *pieces, *unused][:size])
    return vocabulary, _report(vocabulary, counts, characters, evaluation, time.perf_counter() - started)


def _check(size, min_frequency, limit_alphabet, num_unused, held_out, seed, num_workers):
    ranges = (
        ("size", size, 1),
        ("min_frequency", min_frequency, 1),
        ("limit_alphabet", 1 if limit_alphabet is None else limit_alphabet, 1),
        ("num_unused", num_unused, 0),
        ("seed", seed, 0),
        ("num_workers", num_workers, 1),
    )
    for name, value, least in ranges:
        if not least <= value < 2**64:
            raise UsageError(f"The value {value} is out of range", where=name, expected=f"{least} or more")
    if not 0 <= held_out < 1:
        raise UsageError(f"The value {held_out} is out of range", where="held_out", expected="0 up to 1")


def _frame(num_unused: int) -> list[str]:
    """Special tokens and unused slots, where Google's vocabularies have them."""
    unused = [f"[unused{i}]" for i in range(num_unused)]
    first, rest = unused[:_UNUSED_BEFORE_UNK], unused[_UNUSED_BEFORE_UNK:]
    return [PAD, *first, UNK, CLS, SEP, MASK, *rest]


def _learn_pieces(words, alphabet, room, min_frequency, progress) -> list[str]:
    """The forms of the alphabet, then the merges in order, more than `room` pieces together."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    initial = sorted(character.text for character in alphabet)
    continuing = sorted(CONTINUATION + character.text for character in alphabet if character.continues)
    # Ties between pairs go to the smaller ids, and the trainer numbers continuations as it meets them, in the
    # order of a hash table that differs from run to run. As its special tokens they are numbered beforehand.
    trainer = trainers.WordPieceTrainer(
        vocab_size=int(_SPARE * room),
        min_frequency=min_frequency,
        special_tokens=continuing,
        initial_alphabet=initial,
        limit_alphabet=len(initial),
        continuing_subword_prefix=CONTINUATION,
        show_progress=False,
    )
    learner = Tokenizer(models.WordPiece(unk_token=UNK))
    learner.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(" ")
    learner.train_from_iterator(_feed(words, set(initial), progress), trainer)
    ids = learner.get_vocab()
    merges = sorted(ids.keys() - {*initial, *continuing}, key=ids.get)
    return [*initial, *continuing, *merges]


def _feed(words, alphabet: set[str], progress) -> Iterator[str]:
    """Every word as often as it occurs, in stretches: the trainer takes texts, not counts.

    Words of one character have nothing to merge: a quarter of English, nearly all of Chinese.
    """
    total, fed, stretch, length = words.total(), 0, [], 0
    for word, count in words.items():
        fed += count
        if len(word) < 2 or not alphabet.issuperset(word):
            continue
        while count:
            times = min(count, _FEED_CHARACTERS // len(word))
            count -= times
            stretch += [word] * times
            length += times * len(word)
            if length >= _FEED_CHARACTERS:
                yield " ".join(stretch)
                stretch, length = [], 0
                if progress is not None:
                    progress("learning", fed, total)
    yield " ".join(stretch)
    if progress is not None:
        progress("learning", total, total)


def _in_use(learnt: list[str], words, room: int, min_frequency: int) -> tuple[list[str], list[str]]:
    """The first `room` pieces but for merges that are hardly ever used, and those merges.

    Merging "##tio" and "##n" leaves a "##tio" that the greedy search for the longest piece passes by; a
    vocabulary without such pieces has room for others.
    """
    wanted, in_use, unused = min(room, len(learnt)), [], []
    for _ in range(4):  # twice is the rule
        candidates = learnt[:wanted]
        uses = _count_uses(candidates, words)
        in_use, unused = [], []
        for piece in candidates:
            is_form = len(piece.removeprefix(CONTINUATION)) == 1
            (in_use if is_form or uses[piece] >= min_frequency else unused).append(piece)
        if len(in_use) >= room or wanted == len(learnt):
            break
        wanted = min(len(learnt), wanted + (room - len(in_use)) * 9 // 8)  # of those, too, not all are used
    return in_use[:room], unused


def _count_uses(pieces: list[str], words) -> collections.Counter:
    """How often each piece is used in the words."""
    wordpiece = WordPiece({piece: index for index, piece in enumerate(pieces)}, -1)
    uses = collections.Counter()
    for word, count in words.items():
        for index, _, _ in wordpiece.cut(word):
            uses[index] += count
    return collections.Counter({piece: uses[index] for index, piece in enumerate(pieces)})


def _report(vocabulary, counts, characters, evaluation, seconds) -> VocabularyReport:
    known = [character for character in characters if character.text in vocabulary]
    num_written = sum(character.count for character in characters)
    num_words, num_unknown, num_pieces = _measure(vocabulary, evaluation)
    return VocabularyReport(
        pieces=len(vocabulary),
        texts=counts.num_texts,
        words=counts.num_words,
        different_words=len(counts.words),
        too_long_words=counts.num_too_long,
        forgotten_words=counts.num_forgotten,
        characters=len(known),
        different_characters=len(characters),
        character_coverage=sum(character.count for character in known) / num_written,
        held_out_texts=evaluation.num_texts,
        held_out_words=num_words,
        held_out_unk_rate=num_unknown / num_words if num_words else None,
        held_out_pieces_per_word=num_pieces / num_words if num_words else None,
        seconds=round(seconds, 3),
    )


def _measure(vocabulary: Vocabulary, evaluation: WordCounts) -> tuple[int, int, int]:
    """Words, those among them that become [UNK], and pieces, as `Tokenizer` would count them."""
    wordpiece = WordPiece(vocabulary.ids, vocabulary.unk_id)
    num_unknown = num_pieces = evaluation.num_too_long
    for word, count in evaluation.words.items():
        pieces = wordpiece.cut(word)
        num_pieces += count * len(pieces)
        num_unknown += count * (pieces[0][0] == vocabulary.unk_id)
    return evaluation.num_too_long + evaluation.words.total(), num_unknown, num_pieces
