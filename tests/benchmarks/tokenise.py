"""How fast the tokeniser is, beside tensorflow-text's FastBertTokenizer and Hugging Face's `tokenizers`.

    python tests/benchmarks/tokenise.py --data=DATA [--notes]        # the whole table, one thread, 5 minutes
    python tests/benchmarks/tokenise.py --data=DATA --kinds=ascii    # one kind of text
    python tests/benchmarks/tokenise.py --data=DATA --cores          # tf.data with one core and with two

Texts of 64 words: English in ASCII, with typographic quotes, and with accents and Cyrillic; Chinese (an
ideograph is a word), Chinese with English in it, and a batch of half ASCII, half Chinese. Every candidate
tokenises the same batch in turn, A B C A B C, each time once untimed before; figures are medians of the
rounds, ratios are medians of the ratios of one round, with the 95 % interval of that median. `--notes`
appends those beside Hugging Face and beside `FastBertTokenizer` to BUILD_NOTES. `FastBertTokenizer`
lower-cases as our tokeniser does, and runs once more without it (its ids differ from Google's either way).

Before anything is timed the two forms of ours are compared on every text.
"""

import argparse
import itertools
import os
import pathlib
import statistics
import time

# One thread each, before the libraries start.
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import side_by_side
import tensorflow as tf
import tensorflow_text as tf_text
import tokenizers

import keras_bert as kb
from keras_bert.files.encodings import open_text
from keras_bert.reports.tables import render

WORDS, BATCH = 64, 1024
SHORT = "A warm, funny film that never loses its way."
ENGLISH = ("ascii", "typographic", "accented")
KINDS = (*ENGLISH, "chinese", "chinese_english", "half_half")


def stretches(words, joiner: str):
    """Texts of WORDS words each."""
    words = iter(words)
    while len(chosen := list(itertools.islice(words, WORDS))) == WORDS:
        yield joiner.join(chosen)


def corpus(data: pathlib.Path, name: str):
    import json

    with open_text(data / "corpora" / name) as lines:
        for line in lines:
            row = json.loads(line)
            yield row["text"] if "text" in row else " ".join(row["lines"])


def texts_of(kind: str, data: pathlib.Path) -> list[str]:
    """BATCH texts of one kind."""
    if kind in ENGLISH:
        words = (word for text in corpus(data, "imdb_reviews.jsonl.gz") for word in text.split())
        texts = (text for text in stretches(words, " ") if text.isascii())
        if kind == "typographic":  # as word processors write English
            texts = (text.replace("'", "\u2019").replace(" a", " \u201ca", 1) for text in texts)
        elif kind == "accented":  # as often as in French, and some Cyrillic
            texts = (text.replace("ea", "\u00e9").replace(" the ", " \u043d\u0430 ") for text in texts)
    elif kind == "chinese":
        with open_text(data / "zh" / "ChnSentiCorp" / "train.tsv") as lines:
            text = "".join(line.split("\t")[0].strip() for line in itertools.islice(lines, 3000))
        texts = stretches(text, "")
    elif kind == "chinese_english":
        words = (word for text in corpus(data, "libreoffice-help.zh-CN.jsonl.gz") for word in text.split())
        # Words between blanks are Chinese phrases here: 64 characters and English words in them.
        texts = (text[: 2 * WORDS] for text in stretches(words, " "))
    else:
        pairs = zip(texts_of("ascii", data), texts_of("chinese", data), strict=True)
        texts = (text for pair in pairs for text in pair)
    return list(itertools.islice(texts, BATCH))


def median_times(candidates: dict, rounds: int) -> dict[str, list[float]]:
    """Seconds of every round of every candidate, in turn, after one round that is not counted."""
    seconds = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, run in candidates.items():
            run()  # after another library's turn the caches hold its data
            started = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def graph(function):
    return tf.function(function, input_signature=[tf.TensorSpec([None], tf.string)])


def check(tokenizer, in_graph, texts):
    """Python and graph agree before anything is timed."""
    ids, starts, ends = (ragged.to_list() for ragged in in_graph.tokenize_with_offsets(tf.constant(texts)))
    for text, *row in zip(texts, ids, starts, ends, strict=True):
        encoding = tokenizer.encode(text, special_tokens=False)
        assert encoding.token_ids == row[0] and encoding.offsets == list(zip(*row[1:], strict=True)), text


def candidates_for(kind: str, data: pathlib.Path) -> tuple[dict, int]:
    chinese = kind not in ENGLISH
    path = str(data / "vocab" / f"{'chinese' if chinese else 'uncased'}_vocab.txt")
    texts = texts_of(kind, data)
    assert len(texts) == BATCH, f"{kind}: {len(texts)} texts"
    tokenizer = kb.Tokenizer(path)
    in_graph = tokenizer.in_graph()
    check(tokenizer, in_graph, texts)
    fast = tf_text.FastBertTokenizer(
        pathlib.Path(path).read_text(encoding="utf-8").split("\n")[:-1],
        token_out_type=tf.int32,
        lower_case_nfd_strip_accents=True,
    )
    plain = tf_text.FastBertTokenizer(
        pathlib.Path(path).read_text(encoding="utf-8").split("\n")[:-1],
        token_out_type=tf.int32,
        lower_case_nfd_strip_accents=False,
    )
    hugging_face = tokenizers.BertWordPieceTokenizer(path, lowercase=True)
    batch = tf.constant(texts)
    ours, ours_spans = graph(in_graph), graph(in_graph.tokenize_with_offsets)
    theirs, theirs_spans = graph(fast.tokenize), graph(fast.tokenize_with_offsets)
    bare = graph(plain.tokenize)
    bare_spans = graph(plain.tokenize_with_offsets)
    pieces = sum(map(len, in_graph(batch).to_list()))
    return {
        "ours, graph": lambda: ours(batch),
        "FastBertTokenizer": lambda: theirs(batch),
        "FastBertTokenizer, no lower-casing": lambda: bare(batch),
        "ours, graph, offsets": lambda: ours_spans(batch),
        "FastBertTokenizer, offsets": lambda: theirs_spans(batch),
        "FastBertTokenizer, no lower-casing, offsets": lambda: bare_spans(batch),
        "ours, Python": lambda: tokenizer.encode_batch(texts, special_tokens=False),
        "Hugging Face encode_batch": lambda: hugging_face.encode_batch(texts, add_special_tokens=False),
    }, pieces


RATIOS = (  # ours over theirs, in texts a second; the goal
    ("ours, graph", "FastBertTokenizer"),
    ("ours, graph", "FastBertTokenizer, no lower-casing"),
    ("ours, graph, offsets", "FastBertTokenizer, offsets"),
    ("ours, graph, offsets", "FastBertTokenizer, no lower-casing, offsets"),
    ("ours, graph", "Hugging Face encode_batch"),
    ("ours, graph, offsets", "Hugging Face encode_batch"),
    ("ours, Python", "Hugging Face encode_batch"),
)


NOTED = (RATIOS[0], RATIOS[4])


def measure(kind: str, data: pathlib.Path, rounds: int, notes: bool) -> str:
    candidates, pieces = candidates_for(kind, data)
    seconds = median_times(candidates, rounds)
    rows = [
        [name, f"{BATCH / statistics.median(times):,.0f}", f"{pieces / statistics.median(times) / 1e6:.2f}"]
        for name, times in seconds.items()
    ]
    lines = [f"{kind}: {BATCH} texts, {pieces / BATCH:.0f} pieces each", ""]
    lines.append(render(["", "texts/s", "million pieces/s"], rows))
    for ours, theirs in RATIOS:
        sides = [side_by_side.Timed(name, seconds[name]) for name in (ours, theirs)]
        middle, low, high = side_by_side.ratio_to(sides[1], sides[0])
        lines.append(f"{ours} / {theirs}: {middle:.2f} ({low:.2f} to {high:.2f})")
        if notes and (ours, theirs) in NOTED:
            work = f"tokenising, {kind}, {pieces / BATCH:.0f} pieces a text, one thread, beside {theirs}"
            command = f"tokenise.py --kinds {kind}"
            side_by_side.report(work, sides[0], sides[1:], command, "texts/s", BATCH, notes=True)
    return "\n".join(lines)


def short_sentence(data: pathlib.Path, rounds: int) -> str:
    """One sentence, each way, in milliseconds."""
    tokenizer = kb.Tokenizer(str(data / "vocab" / "uncased_vocab.txt"))
    in_graph = graph(tokenizer.in_graph())
    fresh = (f"{SHORT} {number}" for number in itertools.count())  # nothing remembered of the whole text
    candidates = {
        "Python, one short sentence": lambda: tokenizer.encode(next(fresh)),
        "graph, one short sentence": lambda: in_graph(tf.constant([SHORT])),
    }
    seconds = median_times(candidates, 50 * rounds)
    return "\n".join(f"{name}: {1e3 * statistics.median(times):.3f} ms" for name, times in seconds.items())


def cores(data: pathlib.Path) -> str:
    """texts/s of a tf.data pipeline with one parallel call and with two, in turn, once it runs."""
    tokenizer = kb.Tokenizer(str(data / "vocab" / "uncased_vocab.txt"))
    in_graph, warm_up, count, lines = tokenizer.in_graph(), 30, 200, []

    def rate(texts, calls):
        dataset = tf.data.Dataset.from_tensors(texts).repeat(warm_up + count)
        features = dataset.map(lambda batch: in_graph.features(batch, max_length=128), calls)
        batches = iter(features)
        for _ in range(warm_up):  # making the pipeline takes longer than ten batches
            next(batches)
        started = time.perf_counter()
        for _ in batches:
            pass
        return count * len(texts) / (time.perf_counter() - started)

    for kind in ("ascii", "accented"):
        texts = tf.constant(texts_of(kind, data)[:256])
        rates = [(rate(texts, 1), rate(texts, 2)) for _ in range(7)]
        one, two = (statistics.median(side) for side in zip(*rates, strict=True))
        ratio = statistics.median(b / a for a, b in rates)
        lines.append(f"tf.data, {kind}: {one:,.0f} texts/s with one call, {two:,.0f} with two: {ratio:.2f}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--cores", action="store_true")
    parser.add_argument("--notes", action="store_true")
    given = parser.parse_args()
    if given.cores:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(2)
        print(cores(given.data))
        return
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    for kind in given.kinds.split(","):
        print(measure(kind, given.data, given.rounds, given.notes), end="\n\n", flush=True)
    print(short_sentence(given.data, given.rounds))


if __name__ == "__main__":
    main()
