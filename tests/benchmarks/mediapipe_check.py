"""The same `.tflite` in MediaPipe Tasks, in the TFLite Task Library and in Keras: numbers, then tokenisers.

    python tests/benchmarks/mediapipe_check.py --peer_python=A/bin/python --task_library_python=B/bin/python
        [--data=DATA]

A has `mediapipe`, B has `tflite-support` and `numpy<2` (and the system's libusb-1.0). Either may be left
out; what then cannot be asked is not printed. all-MiniLM-L6-v2 gets heads with random weights, float32.

A tokeniser is seen through a model whose "vector" is the ids it was given. It is asked every assigned
character between two letters, and with --data sentences of real corpora.
"""

import argparse
import collections
import gzip
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile
import unicodedata

LABELS = ["negative", "positive", "neither"]
QA_LENGTH, SPY_LENGTH, CHARACTER_LENGTH = 384, 512, 16
NUM_TEXTS, NUM_QUESTIONS, NUM_REVIEWS = 200, 100, 2000
TEXTS = [
    "A warm, funny and deeply moving film.",
    "no",
    "",
    "The SECOND half drags, and the ending (which I won't give away) made me want my money back!",
    "tabs\tand\nline ends  and   blanks ",
    "100% of $5 is #1: a+b=c; <x> [SEP] {y} ~z^2 `w` | v \\ u / t @ s & r * q _ p",
    "incomprehensibilities " * 3,
    "x" * 100,
    "word by word this text grows longer than anything the model can read " * 20,
]
QUESTIONS = [
    (
        "Who wrote the first program?",
        "Ada Lovelace wrote the first program in 1843, for a machine of Babbage.",
    ),
    ("When was it?", "It was in 1969 that men first walked on the Moon; six more landings followed."),
    ("What is a cell?", "All living things are made of cells. A cell is the smallest unit of life. " * 20),
]


def main():
    if sys.argv[1:2] == ["--as_peer"]:
        return answer(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer_python", type=pathlib.Path, help="has mediapipe")
    parser.add_argument("--task_library_python", type=pathlib.Path, help="has tflite-support")
    parser.add_argument("--data", type=pathlib.Path)
    given = parser.parse_args()
    peers = {"mediapipe": given.peer_python, "task_library": given.task_library_python}
    peers = {name: python for name, python in peers.items() if python is not None}
    with tempfile.TemporaryDirectory() as folder:
        for name, python in peers.items():
            compare_numbers(name, python, pathlib.Path(folder), given.data)
        if given.peer_python is not None:
            compare_characters(given.peer_python, pathlib.Path(folder))
            for corpus, vocabulary, texts in (*words(), *corpora(given.data)):
                compare_texts(given.peer_python, pathlib.Path(folder), corpus, vocabulary, texts)
    return None


def compare_numbers(name, python, folder, data):
    """Prints how far a library's answers are from Keras'."""
    import keras
    import numpy as np

    import keras_bert as kb

    rows = next((rows for _, _, rows in corpora(data)), [])
    texts = [*TEXTS, *[text for text in rows if text.isascii()][:NUM_TEXTS]]
    questions = [*QUESTIONS, *(squad(data)[:NUM_QUESTIONS] if data else [])]
    for task, kind, settings in (
        ("classification", "text_classifier", {"labels": LABELS, "max_length": 128}),
        ("similarity", "text_embedder", {"max_length": 128}),
        ("question_answering", "question_answerer", {"max_length": QA_LENGTH}),
    ):
        if (name, kind) == ("mediapipe", "question_answerer"):
            continue  # it has none
        keras.utils.set_random_seed(3)
        bert = kb.load(minilm(), task=task, **settings)
        file = folder / f"{kind}.tflite"
        bert.export(file, format="tflite", quantize="float32", metadata=True)
        if kind == "question_answerer":
            answers = ask(name, python, kind, file, questions)
            expected = [logits_of(bert, *pair) for pair in questions]
            pairs = [
                (logit, start[first] + end[last])
                for (start, end), rows in zip(expected, answers, strict=True)
                for first, last, logit in rows
            ]
            given, wanted = np.array(pairs).T
        else:
            given = np.array(ask(name, python, kind, file, texts))
            answer = "scores" if kind == "text_classifier" else "embedding"
            wanted = np.array([row[answer] for row in bert.predict(texts)])
        print(
            f"{name:13} {kind:18} {len(given):4} answers, largest difference {abs(given - wanted).max():.1e}"
        )


def logits_of(bert, question, context):
    """The start and end logits of the first window, (L,) each, of the pieces the Task Library gives it."""
    import numpy as np

    encoding = bert.tokenizer.encode(question, special_tokens=False)
    room = QA_LENGTH - 3 - len(encoding.token_ids)
    behind = bert.tokenizer.encode(context, special_tokens=False).token_ids[:room]
    vocabulary = bert.tokenizer.vocabulary
    first = [vocabulary.cls_id, *encoding.token_ids, vocabulary.sep_id]
    ids = [*first, *behind, vocabulary.sep_id]
    features = {
        "token_ids": np.array([ids], "int32"),
        "segment_ids": np.array([[0] * len(first) + [1] * (len(ids) - len(first))], "int32"),
        "padding_mask": np.ones((1, len(ids)), "int32"),
    }
    outputs = bert.model(features, training=False)
    return tuple(outputs[name].numpy()[0] for name in ("start_logits", "end_logits"))


def compare_characters(python, folder):
    """Prints how many characters between two letters become other ids, by Unicode's category."""
    import keras_bert as kb

    characters = [
        chr(point)
        for point in range(sys.maxunicode + 1)
        if unicodedata.category(chr(point)) not in ("Cn", "Co", "Cs")
    ]
    tokenizer = kb.Tokenizer(minilm() / "vocab.txt")
    texts = [f"a{character}b" for character in characters]
    different = differing(python, folder, tokenizer, texts, CHARACTER_LENGTH)
    total, found = collections.Counter(), collections.defaultdict(list)
    for index, character in enumerate(characters):
        total[group(character)] += 1
        if index in different:
            found[group(character)].append(character)
    print(f"\n{len(different)} of {len(characters)} assigned characters become other ids between two letters")
    print("| group | characters | differ | such as |\n|---|---|---|---|")
    for name, count in sorted(total.items(), key=lambda item: -len(found[item[0]])):
        shown = " ".join(f"U+{ord(c):04X}" for c in found[name][:4])
        print(f"| {name} | {count} | {len(found[name])} | {shown} |")


def group(character) -> str:
    """What a character is, as far as tokenisers care."""
    category, point = unicodedata.category(character), ord(character)
    if point < 128:
        return "ASCII control" if category == "Cc" else "ASCII"
    if 0xAC00 <= point <= 0xD7A3:
        return "Hangul syllable"
    if category[0] == "L":
        if character.lower() != character:
            return "upper case"
        plain = unicodedata.normalize("NFD", character)
        return "letter that decomposes" if plain != character else "other letter"
    names = {
        "M": "mark",
        "Z": "space",
        "C": "control or format",
        "P": "punctuation",
        "S": "symbol",
        "N": "number",
    }
    return names[category[0]]


def compare_texts(python, folder, corpus, vocabulary, texts):
    """Prints how many texts of a corpus become other ids."""
    import keras_bert as kb

    different = differing(python, folder, kb.Tokenizer(vocabulary), texts, SPY_LENGTH)
    plain = {index for index, text in enumerate(texts) if text.isascii()}
    print(
        f"{corpus}: {len(different)} of {len(texts)} texts become other ids; "
        f"of the {len(plain)} in ASCII, {len(different & plain)}"
    )


def differing(python, folder, tokenizer, texts, length) -> set:
    """The numbers of the texts that MediaPipe's tokeniser makes other ids of than ours."""
    import tensorflow as tf

    import keras_bert as kb
    from keras_bert.export import metadata
    from keras_bert.export.conversion import convert
    from keras_bert.features import ENCODER_FEATURES, tensor_specs

    def ids(token_ids, segment_ids, padding_mask):
        # All three inputs take part, or the converter would leave some out.
        return {"embedding": tf.cast(token_ids * padding_mask + segment_ids, tf.float32)}  # (1, L)

    config = kb.BertConfig.preset("tiny", vocabulary_size=len(tokenizer.vocabulary))
    bert = kb.Bert.from_config(config, tokenizer, "similarity")
    function = tf.function(ids).get_concrete_function(
        **tensor_specs(*ENCODER_FEATURES, batch=1, length=length)
    )
    file = folder / "spy.tflite"
    file.write_bytes(convert(tf.Module(), {"serving_default": function}, "float32"))
    metadata.add_metadata(bert, file)
    theirs = ask("mediapipe", python, "text_embedder", file, texts)
    ours = (tokenizer.encode(text, max_length=length).token_ids for text in texts)
    return {
        index
        for index, (mine, other) in enumerate(zip(ours, theirs, strict=True))
        if list(mine) != [int(one) for one in other[: len(mine)]] or any(other[len(mine) :])
    }


def words():
    """Yields (name, vocabulary file, texts) of words of many letters."""
    for first, last in ((1, 100), (101, 200), (201, 300)):
        name = f"words of {first} to {last} letters"
        yield name, minilm() / "vocab.txt", ["x" * count for count in range(first, last + 1)]


def corpora(data):
    """Yields (name, vocabulary file, texts) of what the data folder has."""
    if data is None:
        return
    uncased, chinese = minilm() / "vocab.txt", data / "vocab" / "chinese_vocab.txt"
    rows = (data / "glue" / "SST-2" / "dev.tsv").read_text(encoding="utf-8").splitlines()[1:]
    yield "SST-2 dev", uncased, [row.split("\t")[1] for row in rows]
    with gzip.open(data / "corpora" / "imdb_reviews.jsonl.gz", "rt", encoding="utf-8") as lines:
        reviews = [json.loads(row)["text"] for row in itertools.islice(lines, NUM_REVIEWS)]
    yield f"IMDB, the first {NUM_REVIEWS}", uncased, reviews
    questions, contexts = zip(*squad(data, ascii_only=False), strict=True)
    yield "XQuAD-en questions", uncased, list(questions)
    yield "XQuAD-en contexts", uncased, list(dict.fromkeys(contexts))
    rows = (data / "zh" / "ChnSentiCorp" / "dev.tsv").read_text(encoding="utf-8").splitlines()
    yield "ChnSentiCorp dev", chinese, [row.split("\t")[0] for row in rows]


def squad(data, ascii_only=True) -> list:
    """(question, context) of XQuAD's English; those in ASCII by default."""
    file = data / "qa" / "xquad_en_squad_dev_subset.json"
    articles = json.loads(file.read_text(encoding="utf-8"))["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    pairs = [(asked["question"], each["context"]) for each in paragraphs for asked in each["qas"]]
    return [pair for pair in pairs if not ascii_only or "".join(pair).isascii()]


def minilm() -> pathlib.Path:
    """The folder of the real all-MiniLM-L6-v2."""
    import tasks_data  # not at the top: this file also runs in the libraries' Python

    return tasks_data.minilm()


def ask(library, python, kind, file, texts) -> list:
    """What a library answers to texts, in a process of its own Python."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = pathlib.Path(folder, "asked.json"), pathlib.Path(folder, "answered.json")
        asked.write_text(json.dumps({"kind": kind, "file": str(file), "texts": texts}))
        command = [python, __file__, "--as_peer", library, asked, answered]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode:
            raise SystemExit(f"{library}, {kind}: {done.stderr[-2000:]}")
        return json.loads(answered.read_text())


def answer(library, asked, answered):
    """Runs in the library's Python: answers the texts of a file."""
    job = json.loads(pathlib.Path(asked).read_text())
    run = {"mediapipe": in_mediapipe, "task_library": in_task_library}[library](job["kind"], job["file"])
    pathlib.Path(answered).write_text(json.dumps([run(text) for text in job["texts"]]))


def scores_of(classifier):
    """A function from a text to the scores of LABELS; both libraries name their results alike."""

    def scores(asked):
        [head] = classifier.classify(asked).classifications
        by_name = {one.category_name: one.score for one in head.categories}
        return [by_name[label] for label in LABELS]

    return scores


def in_mediapipe(kind, file):
    from mediapipe.tasks.python import text

    if kind == "text_classifier":
        return scores_of(text.TextClassifier.create_from_model_path(file))
    embedder = text.TextEmbedder.create_from_model_path(file)
    return lambda asked: [float(one) for one in embedder.embed(asked).embeddings[0].embedding]


def in_task_library(kind, file):
    from tflite_support.task import text

    if kind == "text_classifier":
        return scores_of(text.BertNLClassifier.create_from_file(file))
    if kind == "text_embedder":
        embedder = text.TextEmbedder.create_from_file(file)
        return lambda asked: [float(one) for one in embedder.embed(asked).embeddings[0].feature_vector.value]
    answerer = text.BertQuestionAnswerer.create_from_file(file)

    def spans(asked):
        question, context = asked
        answers = answerer.answer(context, question).answers
        return [(one.pos.start, one.pos.end, one.pos.logit) for one in answers]

    return spans


if __name__ == "__main__":
    main()
