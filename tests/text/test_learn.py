"""A learnt vocabulary: the same every time, no character wasted or lost, measured as it will be used."""

import collections
import functools
import hashlib
import itertools
import os
import random
import signal
import subprocess
import sys

import pytest

from keras_bert.errors import DataError, TrainingError, UsageError, VocabularyError
from keras_bert.text import word_counts
from keras_bert.text.learn import learn_vocabulary
from keras_bert.text.normalization import Normalizer
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.unicode_table import CHINESE, unicode_table

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
TEXTS = [
    "The lower, the newer: Héllo low-lower lowest!",
    "newest 我们都是 widest lower",
    "wider Low newer 我们",
]


@functools.cache
def random_texts(count=300, seed=1) -> list[str]:
    """Words over few letters, so that many pairs are as frequent as others."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefgh中文是é,.Σ\u2028", k=rng.randint(1, 9))) for _ in range(200)]
    return [" ".join(rng.choices(words, k=12)) for _ in range(count)]


def is_ideograph(char):
    return bool(unicode_table().flags[ord(char)] & CHINESE)


def test_frequent_words_become_pieces_and_special_tokens_come_first():
    vocabulary, report = learn_vocabulary(TEXTS, 60, held_out=0)
    assert vocabulary.pieces[:5] == SPECIAL
    assert {"low", "lower", "newer", "我", "们", ",", "##e"} <= set(vocabulary)
    assert "hello" not in vocabulary  # once is below min_frequency
    assert report.pieces == len(vocabulary) and report.texts == 3
    assert Tokenizer(vocabulary).tokenize("LOWER, newer") == ["lower", ",", "newer"]


def test_every_word_of_the_texts_can_be_spelt():
    texts = random_texts()
    vocabulary, report = learn_vocabulary(texts, 150, held_out=0)
    tokenizer = Tokenizer(vocabulary)
    assert not any("[UNK]" in tokenizer.tokenize(text) for text in texts)
    assert report.character_coverage == 1 and len(vocabulary) == 150


def test_ties_give_the_same_pieces_in_every_process():
    script = (
        "import hashlib; from keras_bert.text.learn import learn_vocabulary\n"
        "words = [a + b + c for a in 'abcdef' for b in 'ghijkl' for c in 'mnopqr']\n"  # every pair is a tie
        "vocabulary, _ = learn_vocabulary([' '.join(words)] * 3, 120, held_out=0)\n"
        "print(hashlib.sha256('\\n'.join(vocabulary).encode()).hexdigest())"
    )
    digests = {
        subprocess.check_output(
            [sys.executable, "-c", script], text=True, env={**os.environ, "RAYON_NUM_THREADS": threads}
        )
        for threads in ("1", "2", "4")
    }
    assert len(digests) == 1


def test_twenty_runs_over_ties_are_one_vocabulary():
    texts = random_texts()
    assert len({learn_vocabulary(texts, 120)[0].pieces for _ in range(20)}) == 1


def test_number_of_workers_changes_nothing(monkeypatch):
    monkeypatch.setattr(word_counts, "_BATCH_CHARACTERS", 2000)
    texts = random_texts(count=400)
    runs = [learn_vocabulary(texts, 130, held_out=0.1, num_workers=workers) for workers in (1, 2, 4)]
    assert runs[0][1].held_out_texts > 10
    for vocabulary, report in runs[1:]:
        assert vocabulary == runs[0][0]
        assert {**vars(report), "seconds": 0} == {**vars(runs[0][1]), "seconds": 0}


def test_order_of_the_texts_changes_nothing():
    texts = random_texts()
    assert learn_vocabulary(texts, 120)[0] == learn_vocabulary(texts[::-1], 120)[0]


def test_an_ideograph_is_always_a_whole_piece():
    texts = ["我们都是中国人", "我们都是abc程序员"] * 50
    vocabulary, _ = learn_vocabulary(texts, 200, held_out=0)
    with_ideographs = {piece for piece in vocabulary if any(map(is_ideograph, piece))}
    assert with_ideographs == set("我们都是中国人程序员")
    unsplit, _ = learn_vocabulary(texts, 200, split_chinese=False, held_out=0)
    assert any(len(piece) > 1 and all(map(is_ideograph, piece)) for piece in unsplit)


def test_rare_ideographs_keep_their_place_while_there_is_room():
    common, rare = "的一是不了", "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    texts = [common * 200_000, rare]
    assert set(rare) <= set(learn_vocabulary(texts, 400, held_out=0)[0])
    vocabulary, report = learn_vocabulary(texts, 205, held_out=0)  # a third of them does not fit
    assert set(common) <= set(vocabulary)
    assert report.pieces == 205 and report.characters == 200


def test_the_alphabet_covers_what_is_written_or_says_how_many_pieces_that_takes():
    texts = ["".join(map(chr, range(0x4E00, 0x4E00 + 300)))]
    with pytest.raises(VocabularyError, match="no room for the alphabet: 300 characters") as caught:
        learn_vocabulary(texts, 200, held_out=0)
    assert caught.value.expected == "305 pieces or more"
    assert learn_vocabulary(texts, 305, held_out=0)[1].character_coverage == 1


def test_a_limited_alphabet_takes_the_most_frequent_and_ties_by_code_point():
    texts = ["a a a b b c d"]
    vocabulary, report = learn_vocabulary(texts, 50, limit_alphabet=3, held_out=0)
    assert vocabulary.pieces == (*SPECIAL, "a", "b", "c")
    assert (report.characters, report.different_characters, report.character_coverage) == (3, 4, 6 / 7)


def test_a_word_with_a_character_outside_the_alphabet_is_not_learnt_from():
    texts = ["xéy " * 10 + "ab " * 20]  # without é, x and ##y must not become neighbours
    vocabulary, _ = learn_vocabulary(texts, 50, limit_alphabet=4, strip_accents=False, held_out=0)
    assert {"ab", "x"} <= set(vocabulary)
    assert not {"xy", "é", "xé"} & set(vocabulary)


def test_pieces_that_the_longest_match_passes_by_give_way_to_others():
    texts = ["abcd " * 50 + "wxyz " * 3]
    vocabulary, _ = learn_vocabulary(texts, 5 + 8 + 6 + 2, held_out=0)  # special tokens, x, ##x, merges
    assert set(vocabulary.pieces[-2:]) <= set(Tokenizer(vocabulary).tokenize(texts[0]))
    roomy, _ = learn_vocabulary(texts, 30, held_out=0)  # where there is room, they stay
    assert any(piece in roomy for piece in ("abc", "ab", "##cd", "##bcd"))


def test_words_too_long_for_bert_are_counted_but_not_learnt():
    vocabulary, report = learn_vocabulary(["z" * 201 + " ok ok", "z" * 201], 40, held_out=0)
    assert report.too_long_words == 2 and report.words == 4
    assert "z" not in vocabulary


def test_cased_learning_keeps_case_and_accents():
    vocabulary, _ = learn_vocabulary(["Émile Émile"] * 3, 60, lowercase=False, held_out=0)
    assert "Émile" in vocabulary
    assert "emile" in learn_vocabulary(["Émile Émile"] * 3, 60, held_out=0)[0]


def test_unused_slots_lie_where_google_has_them(data_folder):
    google = (data_folder / "vocab" / "uncased_vocab.txt").read_text(encoding="utf-8").split("\n")
    assert learn_vocabulary(TEXTS, 1100, num_unused=994)[0].pieces[:999] == tuple(google[:999])


def test_a_few_unused_slots_follow_padding():
    vocabulary, _ = learn_vocabulary(TEXTS, 60, num_unused=2)
    assert vocabulary.pieces[:7] == ("[PAD]", "[unused0]", "[unused1]", *SPECIAL[1:])


def test_the_report_measures_what_the_tokenizer_does():
    texts, evaluation = random_texts(), [*random_texts(60, seed=2), "q" * 250, "unk☃ able"]
    vocabulary, report = learn_vocabulary(texts, 90, eval_texts=evaluation)
    tokenizer = Tokenizer(vocabulary)
    pieces = [piece for text in evaluation for piece in tokenizer.tokenize(text)]
    every_word_unknown = Tokenizer(SPECIAL)
    num_words = sum(len(every_word_unknown.tokenize(text)) for text in evaluation)
    assert report.held_out_words == num_words and report.texts == len(texts)
    assert report.held_out_unk_rate == pieces.count("[UNK]") / num_words > 0
    assert report.held_out_pieces_per_word == len(pieces) / num_words


def test_held_out_texts_are_not_learnt_from_and_follow_the_seed():
    texts = [f"text number {i} " * 2 for i in range(2000)]
    _, report = learn_vocabulary(texts, 100)
    assert 5 < report.held_out_texts < 40 and report.texts + report.held_out_texts == 2000
    chosen = [[word_counts.is_held_out(text, 0.01, seed) for text in texts] for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]
    assert sum(chosen[0]) == report.held_out_texts


def test_without_held_out_texts_nothing_is_measured():
    _, report = learn_vocabulary(TEXTS, 60, held_out=0)
    assert report.held_out_unk_rate is None and report.held_out_words == 0


def test_words_are_counted_as_the_normalizer_cuts_them():
    texts = [
        "plain ascii, Text",
        "tab\there\x0bthere\x1cand",
        "next\x85line\u3000wide",
        "ΟΔΟΣ 中文é",
        *random_texts(),
    ]
    counts, _ = word_counts.count_words(texts, word_counts.Counting(True, True, True))
    normalizer = Normalizer(True, True, True)
    expected = collections.Counter(
        word.text
        for text in texts
        for chunk in normalizer.chunks(text)
        for word in normalizer.words(chunk[0])
    )
    assert counts.words == expected


def test_memory_is_bounded_by_forgetting_the_rarest_words(monkeypatch):
    monkeypatch.setattr(word_counts, "_BATCH_CHARACTERS", 200)
    texts = [f"common w{i} x{i}" for i in range(500)]
    counts, _ = word_counts.count_words(texts, word_counts.Counting(True, True, True), max_words=100)
    assert len(counts.words) <= 100 and counts.words["common"] == 500
    assert counts.num_words == 1500 and counts.num_forgotten > 900


def test_texts_are_streamed(monkeypatch):
    monkeypatch.setattr(word_counts, "_BATCH_CHARACTERS", 100)
    read, counted = itertools.count(), []
    texts = (f"text {next(read)}" for _ in range(400))
    word_counts.count_words(
        texts,
        word_counts.Counting(True, True, True),
        num_workers=2,
        progress=lambda done: counted.append((done, next(read))),
    )
    ahead = [read_so_far - i - done for i, (done, read_so_far) in enumerate(counted)]
    assert (
        len(counted) > 10 and max(ahead) <= 100
    )  # five batches of some thirteen texts, and one being filled


def test_progress_tells_of_both_stages():
    calls = []
    learn_vocabulary(random_texts(), 90, progress=lambda *call: calls.append(call))
    stages = [stage for stage, _ in itertools.groupby(call[0] for call in calls)]
    assert stages == ["counting", "learning"]
    assert calls[0][1] == 300 and calls[-1][1] == calls[-1][2]


def kill_first_worker(done, killed=[]):  # noqa: B006 - remembers across calls
    import multiprocessing

    if not killed:
        killed.append(True)
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)


def test_a_killed_worker_is_an_error_and_no_hang(monkeypatch):
    monkeypatch.setattr(word_counts, "_BATCH_CHARACTERS", 1000)
    with pytest.raises(TrainingError, match="worker process died"):
        word_counts.count_words(
            random_texts(3000), word_counts.Counting(True, True, True), 2, progress=kill_first_worker
        )


@pytest.mark.parametrize(
    "texts", [[], ["", " \t\n"], ["\u200b"]], ids=["none", "blank", "only format characters"]
)
def test_texts_without_words_are_refused(texts):
    with pytest.raises(DataError, match="no words"):
        learn_vocabulary(texts, 100)


@pytest.mark.parametrize(
    "options",
    [{"size": 0}, {"min_frequency": 0}, {"limit_alphabet": 0}, {"num_unused": -1}, {"held_out": 1.0},
     {"seed": -1}, {"num_workers": 0}],
)  # fmt: skip
def test_arguments_out_of_range_are_named(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        learn_vocabulary(TEXTS, **{"size": 60, **options})


def test_a_text_that_is_no_text_is_named():
    with pytest.raises(DataError, match="text 2: A text is a bytes"):
        learn_vocabulary(["a", b"b"], 60)


def test_size_below_the_special_tokens_is_refused():
    with pytest.raises(VocabularyError, match="no room"):
        learn_vocabulary(TEXTS, 4)


@pytest.mark.slow
def test_chinese_reviews_are_covered_by_whole_characters(data_folder):
    lines = (data_folder / "zh" / "ChnSentiCorp" / "train.tsv").read_text(encoding="utf-8").splitlines()
    vocabulary, report = learn_vocabulary([line.split("\t")[0] for line in lines], 5000)
    assert report.character_coverage >= 0.9995 and report.held_out_unk_rate < 0.01
    assert all(len(piece) == 1 for piece in vocabulary if any(map(is_ideograph, piece)))
    digest = hashlib.sha256("\n".join(vocabulary).encode()).hexdigest()
    again, _ = learn_vocabulary([line.split("\t")[0] for line in lines], 5000, num_workers=2)
    assert hashlib.sha256("\n".join(again).encode()).hexdigest() == digest
