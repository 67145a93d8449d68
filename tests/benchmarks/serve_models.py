"""The models and the requests of serve.py."""

import contextlib
import csv
import dataclasses
import gzip
import json
import pathlib
import subprocess
import sys

import numpy as np
import tasks_data

sys.path.append(str(pathlib.Path(__file__).parents[1] / "export"))

import programs
import unread

LENGTH, POSITIONS = 48, 64  # of the small models: the longest text, and what ids may have at most
MASK = 103  # of the vocabulary used here
SMALL = {
    "classification": {"labels": ["negative", "positive", "neither"]},
    "tagging": {"labels": ["thing", "mood"], "crf": True},
    "question_answering": {"max_length": LENGTH, "stride": 8},
    "fill_mask": {"max_masks": 4},
    "similarity": {},
    "multi_task": {
        "parts": {
            "mood": {"name": "classification", "labels": ["bad", "good"]},
            "things": {"name": "tagging", "labels": ["thing"]},
        }
    },
}
HOSTILE = ("texts", "ids", "segments", "lengths", "widths")
# What no one should send; `None` stands for a text longer than anything the model reads.
HOSTILE_TEXTS = (
    b"", b" \t\n ", b"\x00\x01\x1b\x7f a \xe2\x80\xae b", b"\xff\xfe\xc3", b"caf\xc3 \xe6\x88", b"\xed\xa0",
    b"[CLS] a [SEP] b [MASK] [MASK] c", "我是程序员，喜欢看电影。".encode(),
    "\N{WOMAN}\u200d\N{GIRL} ﬁ ㎏ İ Σς".encode(), b"a" * 3000, None,
)  # fmt: skip


def program(work) -> pathlib.Path:
    """serve.cc, built where it has changed since."""
    here = pathlib.Path(__file__).parent
    built = work / "serve"
    sources = [*here.glob("serve*.cc"), *here.glob("serve*.h"), here.parent / "export" / "served.h"]
    if not built.exists() or built.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        subprocess.run(programs.compiler(here / "serve.cc", built), check=True)
    return built


def without_proof():
    """Lets exports believe that a fresh process read them back: nothing here is about that."""
    from keras_bert.export import proof

    proof.ask = unread.ask


def traced_once(bert):
    """Lets every further export of a model use the graphs of one; what is expected is asked anew."""
    from keras_bert.export import asking, plan, saved_model

    first = plan.planned(bert)

    def renewed(questions, functions):
        answers = [asking.answered(functions[q.signature], **asking.tensors(q.inputs)) for q in questions]
        return [dataclasses.replace(q, expected=a) for q, a in zip(questions, answers, strict=True)]

    def planned(*given):
        texts = renewed(first.questions, first.functions)
        ids = renewed(first.ids_questions, first.ids_functions)
        return dataclasses.replace(first, questions=texts, ids_questions=ids)

    saved_model.planned = planned


def small(data, task, num_pieces=None):
    """A tiny BERT for a task; its weights are large enough that the answers depend on the text.

    With `num_pieces` it knows so many of the vocabulary's pieces alone, and is written and loaded faster.
    """
    import keras

    import keras_bert as kb

    keras.utils.set_random_seed(7)
    pieces = (data / "vocab" / "uncased_vocab.txt").read_text(encoding="utf-8").split("\n")[:num_pieces]
    tokenizer = kb.Tokenizer([piece for piece in pieces if piece], lowercase=True)
    sizes = {"vocabulary_size": len(tokenizer.vocabulary), "max_sequence_length": POSITIONS}
    shape = kb.BertConfig.preset("tiny", initializer_range=0.1, **sizes)
    return kb.Bert.from_config(shape, tokenizer, task, **{"max_length": LENGTH, **SMALL[task]})


def model(data, name):
    """ "base" with random weights and three classes, "minilm" as published, or "small TASK"."""
    import keras_bert as kb

    if name.startswith("small "):
        return small(data, name.removeprefix("small "))
    if name == "minilm":
        return kb.load(tasks_data.minilm(), task="similarity")
    tokenizer = kb.Tokenizer(data / "vocab" / "uncased_vocab.txt", lowercase=True)
    labels = SMALL["classification"]["labels"]
    return kb.Bert.from_config(kb.BertConfig.preset("base"), tokenizer, "classification", labels=labels)


def make(data, folder, name, kinds):
    """The exports of a model that are not there yet: folder/KIND/1, and what is said of them in KIND.json.

    Kinds: "plain", "joined" (in_graph_batching), and "keras": `model.export()` of Keras itself.
    """
    missing = [kind for kind in kinds if not (folder / f"{kind}.json").exists()]
    if not missing:
        return
    without_proof()
    bert = model(data, name)
    for kind in missing:
        if kind == "keras":
            bert.model.export(str(folder / kind / "1"), verbose=False)
            told = {"parameters": bert.model.count_params()}
        else:
            report = bert.export(folder / kind, in_graph_batching=kind == "joined")
            told = {name: report[name] for name in ("parameters", "signatures")}
        (folder / f"{kind}.json").write_text(json.dumps(told))


def sentences(data, count, seed=0) -> list:
    """Texts as a server gets them: in turn one of SST-2, and two sentences of an IMDB review."""
    with open(data / "glue" / "SST-2" / "train.tsv", encoding="utf-8") as file:
        short = [row["text_a"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    with gzip.open(data / "corpora" / "imdb_reviews.jsonl.gz", "rt", encoding="utf-8") as file:
        reviews = [json.loads(line)["text"] for line, _ in zip(file, range(5000), strict=False)]
    long = [". ".join(review.replace("<br />", " ").split(". ")[:2]) for review in reviews]
    random = np.random.default_rng(seed)
    chosen = [random.choice(texts, (count + 1) // 2) for texts in (short, long)]
    return [str(text) for pair in zip(*chosen, strict=True) for text in pair][:count]


def text_requests(data, signature, columns, hostile, count, seed) -> list:
    """(signature, inputs): one to three rows of real texts and of what no one should send."""
    random, real = np.random.default_rng(seed), [text.encode() for text in sentences(data, 400, seed)]
    bad = [b" ".join(real[:60]) if text is None else text for text in HOSTILE_TEXTS]

    def text():
        texts = bad if "texts" in hostile and random.random() < 0.3 else real
        masked = texts[random.integers(len(texts))].split(b" ")
        if random.random() < 0.2:
            masked[random.integers(len(masked))] = b"[MASK]"
        return b" ".join(masked)

    def column(rows):
        return np.array([text() for _ in range(rows)], object)

    rows = random.integers(1, 4, count)
    return [(signature, {name: column(n) for name in columns}) for n in rows]


def ids_requests(vocabulary_size, hostile, count, seed) -> list:
    """(signature, inputs): one to three rows of ids, some of which are none, of any length."""
    random, requests = np.random.default_rng(seed), []
    limit = np.iinfo(np.int32)
    for rows in random.integers(1, 4, count):
        width = random.integers(1, POSITIONS + 20 if "lengths" in hostile else POSITIONS + 1)
        ids = random.integers(0, vocabulary_size, (rows, width))
        ids[random.random(ids.shape) < 0.05] = MASK
        segments = np.sort(random.integers(0, 2, (rows, width)), axis=1)
        length = random.integers(1, width + 1, rows)
        is_bad = random.random(4) < 0.3
        if is_bad[0] and "ids" in hostile:
            ids[random.random(ids.shape) < 0.2] = random.choice([-1, vocabulary_size, limit.max, limit.min])
        if is_bad[1] and "segments" in hostile:
            segments[random.random(ids.shape) < 0.2] = random.choice([-1, 2, limit.max, limit.min])
        if is_bad[2] and "lengths" in hostile:
            length[0] = random.choice([0, -3, width + 100, limit.max, limit.min])
        if is_bad[3] and "widths" in hostile:
            segments = segments[:, : random.integers(1, width + 1)]
        inputs = {"token_ids": ids, "segment_ids": segments, "length": length}
        requests.append(("ids", {name: array.astype(np.int32) for name, array in inputs.items()}))
    return requests


@contextlib.contextmanager
def plain_folder(path):
    """A folder as `atomic_folder` gives it, but seen by everyone while it is being written."""
    path.mkdir(parents=True)
    yield path
