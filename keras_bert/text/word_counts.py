"""How often every normalised word occurs in a stream of texts, counted by several processes."""

import collections
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter

from keras_bert.errors import DataError
from keras_bert.files.processes import in_order
from keras_bert.text.normalization import Normalizer
from keras_bert.text.wordpiece import MAX_WORD_LENGTH

# A batch is what a worker is handed at a time: large, for its counts to be much smaller than its texts.
_BATCH_TEXTS, _BATCH_CHARACTERS = 50_000, 4_000_000
_MEMORY_CHUNKS, _MEMORY_CHUNK_LENGTH = 500_000, 64  # as in segmenter.py


@dataclasses.dataclass
class WordCounts:
    """The words of some texts.

    Args:
        words: Counter. Normalised word to how often it occurs.
        num_texts: int.
        num_characters: int. Of the texts as they came.
        num_too_long: int. Words of more than `MAX_WORD_LENGTH` characters, which BERT reads as [UNK]; they
            are not among `words`.
        num_forgotten: int. Occurrences of rare words dropped from `words` to bound the memory.
    """

    words: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    num_texts: int = 0
    num_characters: int = 0
    num_too_long: int = 0
    num_forgotten: int = 0

    def add(self, other: "WordCounts"):
        """Adds what was counted elsewhere."""
        self.words.update(other.words)
        self.num_texts += other.num_texts
        self.num_characters += other.num_characters
        self.num_too_long += other.num_too_long
        self.num_forgotten += other.num_forgotten

    def forget_rare(self, max_words: int):
        """Drops the rarest words, all those of a count alike, until at most `max_words` are left."""
        rare = 0
        while len(self.words) > max_words:
            rare += 1
            kept = collections.Counter({word: count for word, count in self.words.items() if count > rare})
            self.num_forgotten += self.words.total() - kept.total()
            self.words = kept

    @property
    def num_words(self) -> int:
        """Occurrences of words, those too long or forgotten included."""
        return self.words.total() + self.num_too_long + self.num_forgotten


@dataclasses.dataclass(frozen=True)
class Counting:
    """How to count: what a worker needs to know.

    Args:
        lowercase: bool. As `Normalizer`, like the two that follow.
        strip_accents: bool.
        split_chinese: bool.
        held_out: float in [0, 1). Share of the texts to count apart.
        seed: int. Decides which; a text that occurs twice is on one side both times.
    """

    lowercase: bool
    strip_accents: bool
    split_chinese: bool
    held_out: float = 0.0
    seed: int = 0


def count_words(
    texts: Iterable[str],
    counting: Counting,
    num_workers: int = 1,
    max_words: int = 10_000_000,
    progress: Callable[[int], None] | None = None,
) -> tuple[WordCounts, WordCounts]:
    """Counts the words of a stream of texts.

    The result does not depend on the number of workers. No more than two batches a worker are held, beside
    the counts: at most `max_words` different words, of which the rarest are forgotten when there are more.

    Args:
        texts: iterable of str. Read once.
        counting: Counting.
        num_workers: int. Processes; with 1, or where one batch holds all, the work is done in this process.
        max_words: int. Different words to hold.
        progress: callable or None. Called with the number of texts counted so far.

    Returns:
        (counts, counts of the texts held out).

    Raises:
        DataError: something among `texts` is not a str.
        TrainingError: a worker process died.
    """
    total, held_out = WordCounts(), WordCounts()
    for batch_counts in _counted_batches(texts, counting, num_workers):
        for whole, part in zip((total, held_out), batch_counts, strict=True):
            whole.add(part)
            whole.forget_rare(max_words)
        if progress is not None:
            progress(total.num_texts + held_out.num_texts)
    _words_of.cache_clear()  # what it remembers is of no use to anybody else
    return total, held_out


def _counted_batches(texts, counting, num_workers) -> Iterator[tuple[WordCounts, WordCounts]]:
    """Counts of every batch, in order."""
    return in_order(functools.partial(_count_batch, counting=counting), _batches(texts), num_workers)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch, size = [], 0
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str):
            raise DataError(f"A text is a {type(text).__name__}", where=f"text {number}", expected="str")
        batch.append(text)
        size += len(text)
        if size >= _BATCH_CHARACTERS or len(batch) >= _BATCH_TEXTS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _count_batch(texts: list[str], counting: Counting) -> tuple[WordCounts, WordCounts]:
    """Counts of a batch, and of its texts that are held out."""
    parts = ([], [])
    for text in texts:
        parts[is_held_out(text, counting.held_out, counting.seed)].append(text)
    words_of = _words_of(counting.lowercase, counting.strip_accents, counting.split_chinese)
    return tuple(_count_texts(part, words_of) for part in parts)


def is_held_out(text: str, share: float, seed: int) -> bool:
    """Whether a text is one of the share held out; depends on nothing but the text and the seed."""
    if not share:
        return False
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, salt=seed.to_bytes(16))
    return int.from_bytes(digest.digest()) < share * 2**64


def _count_texts(texts: list[str], words_of: "_WordsOf") -> WordCounts:
    # Words repeat: what every chunk becomes is asked once a batch, not once an occurrence.
    chunks = collections.Counter()
    for text in texts:
        chunks.update(words_of.chunks(text))
    counts = WordCounts(num_texts=len(texts), num_characters=sum(map(len, texts)))
    words = counts.words
    for chunk, count in chunks.items():
        for word in words_of.words(chunk):
            if len(word) > MAX_WORD_LENGTH:
                counts.num_too_long += count
            else:
                words[word] += count
    return counts


class _WordsOf:
    """The chunks of a text, and their words; what a chunk became is remembered.

    Both bounds only keep hostile text from filling the memory.
    """

    def __init__(self, normalizer: Normalizer):
        self._normalizer = normalizer
        self._memory: dict[str, tuple[str, ...]] = {}

    def chunks(self, text: str) -> Iterable[str]:
        """The chunks of a text."""
        if (
            text.isascii() and text.isprintable()
        ):  # its only white space is the blank: the same, thrice as fast
            return text.split()
        return map(itemgetter(0), self._normalizer.chunks(text))

    def words(self, chunk: str) -> tuple[str, ...]:
        """The normalised words of a chunk."""
        words = self._memory.get(chunk)
        if words is None:
            words = tuple(word.text for word in self._normalizer.words(chunk))
            if len(chunk) <= _MEMORY_CHUNK_LENGTH:
                if len(self._memory) >= _MEMORY_CHUNKS:
                    self._memory.clear()
                self._memory[chunk] = words
        return words


@functools.lru_cache(maxsize=1)
def _words_of(lowercase: bool, strip_accents: bool, split_chinese: bool) -> _WordsOf:
    """One to a process: the tables take a tenth of a second, and what is remembered is worth keeping."""
    return _WordsOf(Normalizer(lowercase, strip_accents, split_chinese))
