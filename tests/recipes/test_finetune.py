"""`keras-bert finetune`, `evaluate`, `predict` and `search`: what their flags promise, on small files."""

import io
import json

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.cli.main import main
from keras_bert.recipes import finetune as recipe
from keras_bert.reports.errors import worst_answers

WORDS = "a the film play was is not good bad warm funny dull anna lives in york new who what".split()
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A vocabulary and a file for every kind of row."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES))
    reviews = [
        ("a warm film", "good"),
        ("the play was funny", "good"),
        ("a dull play", "bad"),
        ("a bad film", "bad"),
    ]
    rows = [f"{text},{label}\n" for text, label in reviews * 3]
    (folder / "reviews.csv").write_text("text,label\n" + "".join(rows))
    sentence = "anna\tB-PER\nlives\tO\nin\tO\nnew\tB-LOC\nyork\tI-LOC\n\n"
    (folder / "names.conll").write_text(sentence * 4)
    question = {
        "id": "1", "question": "who lives in new york", "is_impossible": False,
        "answers": [{"text": "anna", "answer_start": 0}],
    }  # fmt: skip
    none = {"id": "2", "question": "what was funny", "is_impossible": True, "answers": []}
    paragraph = {"context": "anna lives in new york", "qas": [question, none]}
    document = {"version": "v2.0", "data": [{"title": "t", "paragraphs": [paragraph] * 2}]}
    (folder / "squad.json").write_text(json.dumps(document))
    return folder


def finetune(data, output, *flags, code=0):
    common = [
        "--preset=tiny",
        f"--vocab_file={data}/vocab.txt",
        "--train_batch_size=4",
        "--learning_rate=1e-3",
    ]
    given = {flag.split("=")[0] for flag in flags}
    common = [flag for flag in common if flag.split("=")[0] not in given]
    assert main(["finetune", f"--output_dir={output}", *common, *flags]) == code


@pytest.fixture(scope="module")
def reviews(data, tmp_path_factory):
    """A classifier, with most ways of training switched on."""
    output = tmp_path_factory.mktemp("reviews") / "model"
    finetune(
        data, output, f"--train_file={data}/reviews.csv", f"--eval_file={data}/reviews.csv",
        "--num_train_epochs=4", "--class_weights=good=1.0,bad=2.0", "--label_smoothing=0.1",
        "--adversarial=0.5", "--r_drop=0.5", "--layer_decay=0.9", "--frozen_blocks=1",
    )  # fmt: skip
    return output


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_settings_stand_on_the_card_and_the_epochs_in_the_log(reviews):
    card = (reviews / "README.md").read_text()
    for name in ("layer_decay", "frozen_blocks", "class_weights", "label_smoothing", "adversarial", "r_drop"):
        assert name in card
    epochs = [row for row in rows_of(reviews / "metrics.jsonl") if "val_loss" in row]
    assert len(epochs) == 4 and all("val_accuracy" in row for row in epochs)


def test_every_setting_reaches_the_training(data, tmp_path, monkeypatch):
    given = {}

    def recorded(model, train, validation, **settings):
        given.update(settings, train=train, validation=validation)
        [given["best"]] = [one for one in given.pop("callbacks") if isinstance(one, recipe.BestEpoch)]
        given["best"].set_model(model)
        given["best"].on_epoch_end(0)

    monkeypatch.setattr(recipe, "fit", recorded)
    finetune(
        data, tmp_path / "model", f"--train_file={data}/reviews.csv", f"--eval_file={data}/reviews.csv",
        "--num_train_epochs=7", "--train_batch_size=5", "--eval_batch_size=3", "--learning_rate=3e-4",
        "--warmup_proportion=0.3", "--warmup_steps=11", "--weight_decay=0.2", "--layer_decay=0.9",
        "--patience=2", "--class_weights=good=1.0,bad=2.0", "--label_smoothing=0.1", "--adversarial=0.5",
        "--r_drop=0.25",
    )  # fmt: skip
    batches = [(labels.numpy(), weights.numpy()) for _, labels, weights in given.pop("train")]
    assert [len(labels) for labels, _ in batches] == [5, 5, 2]
    bad = kb.load(tmp_path / "model").task.labels.index("bad")
    assert all(np.array_equal(weights, np.where(labels == bad, 2.0, 1.0)) for labels, weights in batches)
    assert [len(labels) for _, labels, *_ in given.pop("validation")] == [3, 3, 3, 3]
    assert given.pop("loss").label_smoothing == 0.1 and given.pop("loss_weights") is None
    assert given.pop("best").patience == 2
    assert given == {
        "epochs": 7, "learning_rate": 3e-4, "warmup_proportion": 0.3, "warmup_steps": 11, "weight_decay": 0.2,
        "layer_decay": 0.9, "adversarial": 0.5, "r_drop": 0.25,
    }  # fmt: skip


def test_frozen_blocks_stay_as_they_began(data, tmp_path):
    flags = [f"--train_file={data}/reviews.csv", "--num_train_epochs=1"]
    start = tmp_path / "start"
    finetune(data, start, *flags)
    finetune(
        data,
        tmp_path / "next",
        f"--model_dir={start}",
        "--preset=",
        "--vocab_file=",
        *flags,
        "--frozen_blocks=1",
    )
    before, after = kb.load(start).weights(), kb.load(tmp_path / "next").weights()
    same = {path for path in before if np.array_equal(before[path], after[path])}
    assert {path.split("/")[0] for path in same} == {"embeddings", "block_0"}


def test_the_best_epoch_is_the_one_that_is_saved(data, tmp_path, monkeypatch, capsys):
    seen, scores = [], iter([0.5, 0.9, 0.1])

    def scored(bert, run):
        def score():
            seen.append(bert.weights())
            return {"accuracy": next(scores)}, bert.answered(run.eval_file)

        return recipe.BestEpoch(score, "accuracy", run.patience)

    monkeypatch.setattr(recipe, "_best_epoch", scored)
    finetune(
        data, tmp_path / "model", f"--train_file={data}/reviews.csv", f"--eval_file={data}/reviews.csv",
        "--num_train_epochs=3",
    )  # fmt: skip
    saved = kb.load(tmp_path / "model").weights()
    assert all(np.array_equal(saved[path], array) for path, array in seen[1].items())
    bert = kb.load(tmp_path / "model")
    worst = worst_answers(bert.task, *bert.answered(f"{data}/reviews.csv"))
    assert worst and rows_of(tmp_path / "model/errors.jsonl") == worst
    assert "kept epoch 2 of 3" in capsys.readouterr().err


def test_seeds_have_a_folder_each_and_a_summary(data, tmp_path, capsys):
    finetune(
        data, tmp_path / "runs", f"--train_file={data}/reviews.csv", f"--eval_file={data}/reviews.csv",
        "--num_train_epochs=1", "--seeds=3,4",
    )  # fmt: skip
    summary = json.loads((tmp_path / "runs/seeds.json").read_text())
    values = summary["scores"]["accuracy"]["values"]
    assert summary["seeds"] == [3, 4] and len(values) == 2
    assert summary["scores"]["accuracy"]["mean"] == pytest.approx(np.mean(values))
    assert summary["scores"]["accuracy"]["sd"] == pytest.approx(np.std(values, ddof=1))
    assert (tmp_path / "runs/seed_3/config.json").is_file() and "±" in capsys.readouterr().out
    one, other = (kb.load(tmp_path / f"runs/seed_{seed}").weights() for seed in (3, 4))
    assert not np.array_equal(one["pooler/kernel"], other["pooler/kernel"])
    finetune(
        data, tmp_path / "again", f"--train_file={data}/reviews.csv", f"--eval_file={data}/reviews.csv",
        "--num_train_epochs=1", "--random_seed=4",
    )  # fmt: skip
    again = kb.load(tmp_path / "again").weights()
    assert all(np.array_equal(again[path], array) for path, array in other.items())


def test_evaluate_tells_how_sure_its_score_is_and_what_went_worst(reviews, data, tmp_path, capsys):
    worst = tmp_path / "worst.jsonl"
    assert main([
        "evaluate", f"--model_dir={reviews}", f"--input_file={data}/reviews.csv", "--resamples=50",
        f"--errors_file={worst}",
    ]) == 0  # fmt: skip
    scores = json.loads(capsys.readouterr().out.splitlines()[-1])
    interval = scores["interval"]
    assert interval["score"] == "accuracy" and interval["low"] <= scores["accuracy"] <= interval["high"]
    wrong = rows_of(worst)
    assert len(wrong) == round((1 - scores["accuracy"]) * scores["rows"])
    assert all(row["expected"] != row["answer"]["label"] for row in wrong)


def test_several_files_are_scored_apart(reviews, data, tmp_path, capsys):
    header, *lines = (data / "reviews.csv").read_text().splitlines()
    (tmp_path / "turned.csv").write_text("\n".join([header, *lines[:3]]) + "\n")
    worst, flags = tmp_path / "worst.jsonl", [f"--model_dir={reviews}", "--resamples=20"]
    found = {}
    for name, path in (("a", data / "reviews.csv"), ("b", tmp_path / "turned.csv")):
        assert main(["evaluate", *flags, f"--input_file={path}"]) == 0
        found[name] = json.loads(capsys.readouterr().out.splitlines()[-1])
    both = f"--input_file=a={data}/reviews.csv, b={tmp_path}/turned.csv"
    assert main(["evaluate", *flags, both, f"--errors_file={worst}"]) == 0
    printed = capsys.readouterr().out.splitlines()
    scores = json.loads(printed[-1])
    assert scores["files"] == found
    mean = (found["a"]["accuracy"] + found["b"]["accuracy"]) / 2
    assert scores["mean"] == {"score": "accuracy", "value": pytest.approx(mean)}
    assert [line.split()[0] for line in printed[2:5]] == ["a", "b", "mean"]
    wrong = [(1 - found[name]["accuracy"]) * found[name]["rows"] for name in "ab"]
    assert [sum(row["file"] == name for row in rows_of(worst)) for name in "ab"] == pytest.approx(wrong)


def test_lines_come_in_and_answers_go_out_in_their_order(reviews, monkeypatch, capsys):
    lines = ['{"text": "a warm film"}', "a dull play", '{"text": "the play was funny", "id": 7}']
    expected = kb.load(reviews).predict(["a warm film", "a dull play", "the play was funny"])
    for at_once in (1, 2, 100):
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
        assert main(["predict", f"--model_dir={reviews}", "--input_file=-", f"--rows_at_once={at_once}"]) == 0
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [row["label"] for row in found] == [row["label"] for row in expected]
        np.testing.assert_allclose([row["score"] for row in found], [r["score"] for r in expected], atol=1e-5)


def test_a_line_that_is_no_row_is_named_after_the_answers_before_it(reviews, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO('{"text": "a warm film"}\n{"label": "good"}\n'))
    assert main(["predict", f"--model_dir={reviews}", "--input_file=-", "--rows_at_once=1"]) == 2
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1 and "standard input:2: A column is missing" in err


def test_a_file_of_tagged_words_trains_a_tagger(data, tmp_path, capsys):
    finetune(
        data, tmp_path / "ner", "--task=tagging", "--crf", "--scheme=BIOES", "--num_train_epochs=25",
        f"--train_file={data}/names.conll", f"--eval_file={data}/names.conll",
    )  # fmt: skip
    bert = kb.load(tmp_path / "ner")
    assert bert.task.units == "words" and bert.task.crf and "S-PER" in bert.task.labels
    assert [s["text"] for s in bert.predict(["anna lives in new york"])[0]["spans"]] == ["anna", "new york"]
    capsys.readouterr()
    assert main(["predict", f"--model_dir={tmp_path}/ner", "--text=anna lives in new york"]) == 0
    assert json.loads(capsys.readouterr().out)["spans"][0]["label"] == "PER"


def test_a_squad_file_trains_a_reader_that_may_decline(data, tmp_path, capsys):
    finetune(
        data, tmp_path / "qa", "--task=question_answering", f"--train_file={data}/squad.json",
        f"--eval_file={data}/squad.json", "--num_train_epochs=2", "--max_seq_length=20", "--stride=4",
    )  # fmt: skip
    bert = kb.load(tmp_path / "qa")
    assert bert.task.stride == 4 and bert.task.max_length == 20
    tuned = bert.task.tuned(*bert.answered(f"{data}/squad.json"))["null_threshold"]
    assert bert.task.null_threshold == tuned is not None
    capsys.readouterr()
    assert (
        main(["evaluate", f"--model_dir={tmp_path}/qa", f"--input_file={data}/squad.json", "--resamples=0"])
        == 0
    )
    scores = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (
        scores["rows"] == 4 and {"exact_match", "f1", "has_answer_f1", "no_answer_accuracy"} <= scores.keys()
    )


def test_a_task_with_parts_is_trained_on_a_file_for_each(data, tmp_path, capsys):
    parts = {"parts": {"mood": {"name": "classification"}, "names": {"name": "tagging"}}}
    files = f"mood={data}/reviews.csv,names={data}/names.conll"
    finetune(
        data, tmp_path / "both", "--task=multi_task", f"--task_settings={json.dumps(parts)}",
        f"--train_file={files}", f"--eval_file={files}", "--num_train_epochs=1",
    )  # fmt: skip
    [row] = kb.load(tmp_path / "both").predict(["anna lives in new york"])
    assert row["mood"]["label"] in ("good", "bad") and "spans" in row["names"]
    capsys.readouterr()
    assert main(["evaluate", f"--model_dir={tmp_path}/both", f"--input_file={files}"]) == 0
    assert {"mean_score", "mood", "names"} <= json.loads(capsys.readouterr().out.splitlines()[-1]).keys()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--task_settings={"], "--task_settings={: This is not valid JSON"),
        (["--task_settings=[1]"], "no JSON object"),
        (["--class_weights=good"], "These are no weights"),
        (["--class_weights=great=1"], "class weights"),
        (["--seeds=one"], "'one' is no seed"),
        (["--frozen_blocks=9"], "9 blocks cannot be frozen"),
        (['--task_settings={"depth": 3}'], "does not accept these settings"),
    ],
)
def test_a_flag_that_cannot_be_gets_one_message(flags, message, data, tmp_path, capsys):
    finetune(data, tmp_path / "x", f"--train_file={data}/reviews.csv", *flags, code=2)
    assert message in capsys.readouterr().err and not (tmp_path / "x").exists()


def test_search_finds_texts_and_declines_what_is_far(minilm_folder, tmp_path, capsys):
    (tmp_path / "faq.csv").write_text(
        "text\nHow do I pay?\nWhere is my parcel?\nHow do I reset my password?\n"
    )
    labels = (
        "can I use a credit card,0\nmy package has not arrived,1\nwho won the world cup,\nI cannot log in,2\n"
    )
    (tmp_path / "labels.csv").write_text("text,row\n" + labels)
    assert main([
        "search", f"--model_dir={minilm_folder}", f"--input_file={tmp_path}/faq.csv", "--k=2",
        "--query=the delivery is late", f"--labels_file={tmp_path}/labels.csv",
    ]) == 0  # fmt: skip
    tuned, found = map(json.loads, capsys.readouterr().out.splitlines())
    assert tuned["accuracy"] == 1.0 > tuned["accuracy_without"]
    assert found["found"][0]["row"] == 1 and all(hit["score"] >= tuned["threshold"] for hit in found["found"])


def test_an_index_returns_the_nearest_first_and_no_more_than_there_are(minilm_folder):
    index = kb.TextIndex(kb.load(minilm_folder), ["a cat", "a dog", "tax law"])
    [found] = index.search("kitten", k=10)
    scores = [hit["score"] for hit in found]
    assert (
        [hit["row"] for hit in found][0] == 0 and scores == sorted(scores, reverse=True) and len(found) == 3
    )
    index.threshold = 2.0
    assert index.search(["kitten"]) == [[]]
