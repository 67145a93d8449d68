"""From texts to answers: `predict` beside Hugging Face's pipeline and ONNX Runtime with tokenizers.

    python tests/benchmarks/predict.py --data=DATA --work=FOLDER --peer_python=ENV/bin/python
        [--texts sst2 imdb squad requests] [--clients 1 8] [--rounds 5] [--notes]

Texts as they come: 872 sentences of SST-2, 128 reviews of IMDB and 256 contexts of SQuAD, whose lengths
differ (truncated at 512, 384 for SQuAD); MiniLM with a head of three classes in float32, 32 texts a batch.
All sides are given the same list of strings and answer with class and score; the scores are compared before
anything is timed. Hugging Face's pipeline pads every batch to its longest text, as does what users write
around ONNX Runtime. The environment of the peers: requirements-infer.txt.

`requests`: what a server does, without its network. 256 requests of one text each, sentences of SST-2 and
beginnings of IMDB's reviews in turn, asked by so many clients (threads) at once; of ours the SavedModel's
signature of texts, of the peers the same as above. ONNX Runtime with all cores a request, and with one.
"""

import csv
import itertools
import json
import pathlib

import infer
import numpy as np
import side_by_side
from side_by_side import Side

from keras_bert.files.encodings import open_text

HERE = pathlib.Path(__file__).parent
LENGTHS = {"sst2": 128, "imdb": 512, "squad": 384, "requests": 128}
COUNTS = {"sst2": 872, "imdb": 128, "squad": 256, "requests": 256}


def main():
    parser = side_by_side.parser(rounds=5)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--peer_python", required=True)
    parser.add_argument("--texts", nargs="*", default=list(LENGTHS), choices=list(LENGTHS))
    parser.add_argument("--clients", nargs="*", type=int, default=[1, 8])
    given = parser.parse_args()
    folder = infer.prepared(given, "minilm")
    for name in given.texts:
        texts = given.work / f"texts_{name}.json"
        texts.write_text(json.dumps(texts_of(given.data, name)[: COUNTS[name]]))
        for clients in given.clients if name == "requests" else [0]:
            compare(given, name, folder, texts, clients)


def texts_of(data, name) -> list:
    if name == "requests":
        pairs = zip(texts_of(data, "sst2"), texts_of(data, "imdb"), strict=False)
        return [text for pair in pairs for text in pair]
    if name == "sst2":
        with open(data / "glue" / "SST-2" / "dev.tsv", encoding="utf-8", newline="") as file:
            return [row["text_a"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    if name == "imdb":
        [file] = (data / "corpora").glob("imdb*.jsonl*")
        with open_text(file) as lines:
            return [json.loads(line)["text"] for line in itertools.islice(lines, COUNTS[name])]
    file = data / "qa" / "xquad_en_squad_dev_subset.json"
    documents = json.loads(file.read_text(encoding="utf-8"))["data"]
    return [paragraph["context"] for document in documents for paragraph in document["paragraphs"]]


def worker(folder, texts, length):
    """Ours, as a user writes it."""
    import keras_bert as kb

    bert = kb.load(pathlib.Path(folder) / "model")
    bert.retune(max_length=length)
    texts = json.loads(pathlib.Path(texts).read_text())
    side_by_side.serve(
        scores=lambda _: [row["scores"] for row in bert.predict(texts)],
        seconds=lambda count: side_by_side.timed(lambda: bert.predict(texts), count),
    )


def server(folder, texts, clients):
    """Ours, as a server runs it: the signature of texts, a text a request."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(pathlib.Path(folder) / "float32" / "1"))
    answer, texts = loaded.signatures["serving_default"], json.loads(pathlib.Path(texts).read_text())

    def one(text):
        return answer(text=tf.constant([text]))["scores"].numpy()[0].tolist()

    def every(_=None):
        return side_by_side.by_clients(one, texts, clients)

    side_by_side.serve(scores=every, seconds=lambda count: side_by_side.timed(every, count))


def compare(given, name, folder, texts, clients):
    where, length = repr(str(folder.absolute())), LENGTHS[name]
    if clients:
        call, kinds = f"server({where}, {str(texts)!r}, {clients})", ("onnx", "onnx_one_core", "pipeline")
        work = f"serving, MiniLM, {COUNTS[name]} requests, {clients} at once, float32"
        command, unit = f"predict.py --texts {name} --clients {clients}", "requests/s"
    else:
        call, kinds = f"worker({where}, {str(texts)!r}, {length})", ("pipeline", "onnx")
        work = f"predict, MiniLM, {COUNTS[name]} texts of {name}, float32"
        command, unit = f"predict.py --texts {name}", "texts/s"
    ours = side_by_side.our_side(f"import tensorflow_text, predict; predict.{call}")
    peer = [given.peer_python, HERE / "predict_peers.py"]
    peers = [Side(kind, [*peer, kind, folder, texts, length, clients]) for kind in kinds]
    expected = np.array(ours.ask("scores"))
    side_by_side.check_scores(peers, expected, 1e-4, f"{name}, from ours")
    side_by_side.compare(given, work, ours, peers, command, unit, COUNTS[name])


if __name__ == "__main__":
    main()
