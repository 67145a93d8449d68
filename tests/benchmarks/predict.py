"""From texts to answers: `predict` beside Hugging Face's pipeline and ONNX Runtime with tokenizers.

    python tests/benchmarks/predict.py --data=DATA --work=FOLDER --peer_python=ENV/bin/python
        [--texts sst2 imdb squad requests] [--clients 1 8] [--precision float32] [--rounds 5] [--notes]

Texts as they come: 872 sentences of SST-2, 128 reviews of IMDB and 256 contexts of SQuAD, whose lengths
differ (truncated at 512, 384 for SQuAD); MiniLM with a head of three classes, 32 texts a batch. In bfloat16
Hugging Face's pipeline is the only peer.
All sides are given the same list of strings and answer with class and score; the scores are compared before
anything is timed. Hugging Face's pipeline pads every batch to its longest text, as does what users write
around ONNX Runtime. The environment of the peers: requirements-infer.txt.

`requests`: what a server does, without its network. 256 requests of one text each, sentences of SST-2 and
beginnings of IMDB's reviews in turn, asked by so many clients (threads) at once; of ours the SavedModel's
signature of texts, of the peers the same as above. Where several ask at once, one core a request is the best
setting of ours (`--tensorflow_intra_op_parallelism=1` of the server); ONNX Runtime is tried with both.
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
    parser.add_argument("--precision", default="float32", choices=list(infer.LIMITS))
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


def worker(folder, texts, length, precision):
    """Ours, as a user writes it."""
    import keras

    import keras_bert as kb

    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    bert = kb.load(pathlib.Path(folder) / "model")
    bert.retune(max_length=length)
    texts = json.loads(pathlib.Path(texts).read_text())
    side_by_side.serve(
        scores=lambda _: [row["scores"] for row in bert.predict(texts)],
        seconds=lambda count: side_by_side.timed(lambda: bert.predict(texts), count),
    )


def server(folder, texts, clients, precision):
    """Ours, as a server runs it: the signature of texts, a text a request."""
    import tensorflow as tf

    if clients > 1:
        tf.config.threading.set_intra_op_parallelism_threads(1)
    loaded = tf.saved_model.load(str(pathlib.Path(folder) / precision / "1"))
    answer, texts = loaded.signatures["serving_default"], json.loads(pathlib.Path(texts).read_text())

    def one(text):
        return answer(text=tf.constant([text]))["scores"].numpy()[0].tolist()

    def every(_=None):
        return side_by_side.by_clients(one, texts, clients)

    side_by_side.serve(scores=every, seconds=lambda count: side_by_side.timed(every, count))


def compare(given, name, folder, texts, clients):
    where, precision = repr(str(folder.absolute())), given.precision
    kinds = ("pipeline", "onnx") if precision == "float32" else ("pipeline_bfloat16",)
    if clients:
        call = f"server({where}, {str(texts)!r}, {clients}, {precision!r})"
        kinds += ("onnx_one_core",) if precision == "float32" else ()
        work = f"serving, MiniLM, {COUNTS[name]} requests, {clients} at once, {precision}"
        command, unit = f"predict.py --texts {name} --clients {clients}", "requests/s"
    else:
        call = f"worker({where}, {str(texts)!r}, {LENGTHS[name]}, {precision!r})"
        work = f"predict, MiniLM, {COUNTS[name]} texts of {name}, {precision}"
        command, unit = f"predict.py --texts {name}", "texts/s"
    ours = side_by_side.our_side(f"import tensorflow_text, predict; predict.{call}")
    peer = [given.peer_python, HERE / "predict_peers.py"]
    peers = [Side(kind, [*peer, kind, folder, texts, LENGTHS[name], clients]) for kind in kinds]
    expected = np.array(ours.ask("scores"))
    side_by_side.check_scores(peers, expected, infer.LIMITS[precision], f"{name}, from ours")
    command += "" if precision == "float32" else f" --precision {precision}"
    side_by_side.compare(given, work, ours, peers, command, unit, COUNTS[name])


if __name__ == "__main__":
    main()
