"""`keras-bert pretrain`, from records to a folder that is loaded, gone on from, and fine-tuned."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.cli.main import main

WORDS = "a the film play was is not very good bad warm funny dull slow it never drags plot cast fine".split()
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Records in a folder: `pairs` of sentences, `single` texts, `fixed` masks, Google's, `more` pieces."""
    folder = tmp_path_factory.mktemp("corpora")
    rng = np.random.default_rng(0)
    documents = [
        "\n".join(" ".join(rng.choice(WORDS, rng.integers(3, 8))) for _ in range(5)) for _ in range(30)
    ]
    (folder / "text.txt").write_text("\n\n".join(documents), encoding="utf-8")
    tokenizer = kb.Tokenizer(PIECES)
    sizes = {"max_seq_length": 24, "max_predictions_per_seq": 4, "num_shards": 2}
    for name, pieces, settings in (
        ("pairs", tokenizer, {}),
        ("single", tokenizer, {"next_sentence": False}),
        ("fixed", tokenizer, {"next_sentence": False, "masking": "static", "dupe_factor": 1}),
        ("google", tokenizer, {"masking": "static", "format": "google", "dupe_factor": 2}),
        ("more", kb.Tokenizer([*PIECES, "covid"]), {}),
    ):
        kb.build_corpus(
            str(folder / "text.txt"),
            folder / name,
            pieces,
            kb.CorpusSettings(**sizes, **settings),
            num_workers=1,
        )
    return folder


def pretrain(folder, *flags, code=0):
    common = ["--train_batch_size=8", "--eval_batch_size=8", "--learning_rate=1e-3", "--random_seed=1"]
    given = {flag.split("=")[0] for flag in flags}
    common = [flag for flag in common if flag.split("=")[0] not in given]
    assert main(["pretrain", f"--output_dir={folder}", *common, *flags]) == code


@pytest.fixture(scope="module")
def first(corpora, tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    pretrain(
        folder, f"--input_file={corpora}/pairs", f"--eval_file={corpora}/pairs", "--preset=tiny",
        "--eval_steps=10",
        "--num_train_steps=30", "--log_steps=5",
    )  # fmt: skip
    return folder


def rows_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_run_leaves_a_model_its_course_and_a_card(first):
    bert = kb.load(first / "model")
    assert bert.task.name == "pretraining" and list(bert.tokenizer.vocabulary) == PIECES
    rows = rows_of(first)
    assert [row["step"] for row in rows if "val_loss" in row] == [10, 20, 30]
    assert rows[-1]["val_mlm_loss"] < rows[0]["mlm_loss"]
    assert {"examples_per_second", "tokens_per_second", "gflop_per_second", "learning_rate"} <= rows[0].keys()
    card = (first / "README.md").read_text()
    assert "random weights (tiny)" in card and "mlm_accuracy" in card and "history.png" in card
    assert (first / "history.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.filterwarnings("ignore:.*its head .pretraining. is not used")
def test_what_the_card_says_to_type_works_beside_it(first, monkeypatch):
    text = (first / "README.md").read_text()
    monkeypatch.chdir(first)
    names = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], names)
    assert names["vectors"].shape[0] == 1 and names["bert"].task.name == "classification"
    [folder] = re.findall(r"keras-bert finetune --model_dir=(\S+)", text)
    assert Path(folder, "config.json").is_file()


def test_the_saved_model_scores_as_the_run_said(first, corpora):
    scores = kb.load(first / "model").evaluate(corpora / "pairs", batch_size=8)
    said = rows_of(first)[-1]
    for name in ("mlm_accuracy", "nsp_accuracy", "mlm_loss"):
        # Masks are those of another seed than the run's.
        assert scores[name] == pytest.approx(said[f"val_{name}"], abs=0.2)


def test_a_finished_run_does_nothing_more(first, corpora, capsys):
    before = (first / "model" / "model.safetensors").read_bytes()
    pretrain(
        first, f"--input_file={corpora}/pairs", f"--eval_file={corpora}/pairs", "--preset=tiny",
        "--eval_steps=10",
        "--num_train_steps=30", "--log_steps=5",
    )  # fmt: skip
    assert "finished already" in capsys.readouterr().err
    assert (first / "model" / "model.safetensors").read_bytes() == before


def test_a_worker_without_rows_of_its_own_comes_back_to_a_finished_run(first, corpora, monkeypatch):
    # Killed between the last step and the end of the job: only the chief has the course of the run.
    from keras_bert.recipes import pretrain as recipe

    log = recipe.MetricsLog
    monkeypatch.setattr(recipe, "MetricsLog", lambda *args, **more: log(*args, **{**more, "writes": False}))
    monkeypatch.setattr(recipe, "report", lambda *args: None)
    pretrain(
        first, f"--input_file={corpora}/pairs", f"--eval_file={corpora}/pairs", "--preset=tiny",
        "--eval_steps=10",
        "--num_train_steps=30", "--log_steps=5",
    )  # fmt: skip


def test_a_checkpoint_takes_on_the_corpus_vocabulary_and_goes_on(first, corpora, tmp_path):
    pretrain(
        tmp_path / "more", f"--input_file={corpora}/more", f"--model_dir={first}/model",
        "--num_train_steps=2",
        "--learning_rate=1e-9",
    )  # fmt: skip
    old, new = kb.load(first / "model").weights(), kb.load(tmp_path / "more" / "model").weights()
    table = "embeddings/token_embedding/embeddings"
    assert len(new[table]) == len(old[table]) + 1
    np.testing.assert_allclose(new[table][:-1], old[table], atol=1e-5)
    np.testing.assert_allclose(
        new["masked_lm/transform/kernel"], old["masked_lm/transform/kernel"], atol=1e-5
    )
    np.testing.assert_allclose(new["next_sentence/kernel"], old["next_sentence/kernel"], atol=1e-5)


def test_the_efficient_recipe_packs_masks_more_and_learns_no_next_sentence(corpora, tmp_path):
    pretrain(
        tmp_path / "run", f"--input_file={corpora}/single", "--preset=tiny", "--recipe=efficient",
        "--precision=float32", "--num_train_steps=4", "--train_batch_size=4", f"--eval_file={corpora}/single",
    )  # fmt: skip
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert config["architectures"] == ["BertForMaskedLM"] and config["hidden_dropout_prob"] == 0.0
    rows = rows_of(tmp_path / "run")
    assert "mlm_loss" not in rows[0] and "nsp_loss" not in rows[0]  # one loss: it is `loss`
    assert {"mlm_accuracy", "val_mlm_accuracy"} <= rows[-1].keys()
    card = (tmp_path / "run" / "README.md").read_text()
    assert "masked_lm_prob" in card and "packed" in card and "dropout" in card and "local_start" in card
    assert "cooccurrence_start" in card
    assert kb.load(tmp_path / "run" / "model").task.next_sentence is False


def test_what_is_held_out_keeps_its_own_masks(corpora, tmp_path):
    flags = [f"--input_file={corpora}/single", "--preset=tiny", "--num_train_steps=2", "--train_batch_size=4",
             f"--eval_file={corpora}/fixed"]  # fmt: skip
    for share in (0.3, 0.9):
        pretrain(tmp_path / str(share), *flags, f"--masked_lm_prob={share}", "--learning_rate=0")
    one, other = (rows_of(tmp_path / str(share))[-1] for share in (0.3, 0.9))
    assert one["loss"] != other["loss"] and one["val_loss"] == other["val_loss"]


def test_a_run_goes_on_with_the_settings_it_began_with_only(corpora, tmp_path, capsys):
    flags = [f"--input_file={corpora}/pairs", "--preset=tiny", "--num_train_steps=4", "--train_batch_size=4"]
    pretrain(tmp_path / "run", *flags)
    pretrain(tmp_path / "run", *flags, "--log_steps=3")
    for other in ("--train_batch_size=8", "--learning_rate=1e-4", "--num_train_steps=6", "--random_seed=2"):
        capsys.readouterr()
        pretrain(tmp_path / "run", *flags, other, code=2)
        errors = capsys.readouterr().err
        assert "The run began with" in errors and other[2:].split("=")[0].replace("random_", "") in errors


def test_googles_records_train_too(corpora, tmp_path):
    pretrain(
        tmp_path / "run", f"--input_file={corpora}/google/*.tfrecord", "--preset=tiny", "--num_train_steps=2",
        f"--vocab_file={corpora}/google/vocab.txt", "--optimizer=lamb", "--schedule=cosine", "--ema=0.9",
    )  # fmt: skip
    assert rows_of(tmp_path / "run")[-1]["step"] == 2


@pytest.mark.slow
def test_two_replicas_train_what_one_trains(corpora, tmp_path):
    flags = [
        f"--input_file={corpora}/pairs", "--preset=tiny", "--num_train_steps=6", "--train_batch_size=8",
        "--dropout_by_record", "--learning_rate=1e-4", "--log_steps=1",
    ]  # fmt: skip
    for name, more in (("one", []), ("two", ["--strategy=mirrored", "--devices=CPU:0,CPU:1"])):
        command = [
            sys.executable,
            "-m",
            "keras_bert.cli",
            "pretrain",
            f"--output_dir={tmp_path / name}",
            *flags,
            *more,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ})
        assert done.returncode == 0, done.stderr[-2000:]
    one, two = (kb.load(tmp_path / name / "model").weights() for name in ("one", "two"))
    largest = max(np.abs(array).max() for array in one.values())
    assert max(np.abs(one[path] - two[path]).max() for path in one) / largest < 1e-5
    for a, b in zip(rows_of(tmp_path / "one"), rows_of(tmp_path / "two"), strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--input_file={}/pairs"], "either --model_dir or --preset"),
        (["--input_file={}/pairs", "--preset=tiny", "--model_dir=x"], "either --model_dir or --preset"),
        (["--input_file={}/pairs", "--model_dir=x", "--local_start"], "a start from random weights"),
        (["--input_file={}/pairs", "--model_dir=x", "--cooccurrence_start"], "a start from random weights"),
        (["--input_file={}/single", "--preset=tiny", "--next_sentence"], "no pairs of sentences"),
        (["--input_file={}/nothing", "--preset=tiny"], "nothing"),
        (["--input_file={}/pairs", "--preset=tiny", "--train_batch_size=100000"], "100,000"),
        (["--input_file={}/pairs", "--preset=tiny", "--strategy=multi_worker"], "TF_CONFIG"),
        (["--input_file={}/pairs", "--preset=tiny", "--nomasked_lm", "--nonext_sentence"], "nothing to"),
        (["--input_file={}/google/*.tfrecord", "--preset=tiny"], "--vocab_file"),
        (["--input_file={}/google/*.tfrecord", "--preset=tiny", "--vocab_file={}/google/vocab.txt",
          "--masked_lm_prob=0.3"], "masked_lm_prob"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_message(flags, message, corpora, tmp_path, capsys):
    pretrain(tmp_path / "run", *(flag.format(corpora) for flag in flags), code=2)
    errors = capsys.readouterr().err
    assert message in errors and "Traceback" not in errors
    assert not (tmp_path / "run" / "model").exists()
