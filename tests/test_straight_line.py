"""The straight line: from 40 sentences to a vocabulary, a pretrained, a fine-tuned and an exported model."""

import json

import numpy as np
import pytest

from keras_bert.cli.main import main

GOOD, BAD = ("good", "warm", "funny", "great"), ("bad", "dull", "slow", "awful")


def sentences(count, first=0):
    for i in range(first, first + count):
        word, label = (GOOD[i // 2 % 4], "good") if i % 2 else (BAD[i // 2 % 4], "bad")
        yield f"{('the film', 'it')[i % 3 % 2]} was {'very ' * (i % 3)}{word} .", label


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """The folder in which the whole line has run once."""
    folder = tmp_path_factory.mktemp("line")
    for name, count, first in (("train.tsv", 40, 0), ("dev.tsv", 16, 40)):
        rows = [f"{text}\t{label}" for text, label in sentences(count, first)]
        (folder / name).write_text("\n".join(["text\tlabel", *rows]) + "\n", encoding="utf-8")
    # Documents of four sentences each.
    texts = [text for text, _ in sentences(40)]
    documents = ["\n".join(texts[i : i + 4]) for i in range(0, 40, 4)]
    (folder / "corpus.txt").write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    run("vocabulary", f"--input_file={folder}/corpus.txt", f"--eval_file={folder}/corpus.txt",
        f"--output_file={folder}/vocabulary/vocab.txt", "--vocab_size=80", "--num_workers=1")  # fmt: skip
    run("corpus", f"--input_file={folder}/corpus.txt", f"--vocab_file={folder}/vocabulary",
        f"--output_dir={folder}/records", "--max_seq_length=16", "--max_predictions_per_seq=3",
        "--num_workers=1")  # fmt: skip
    run("pretrain", f"--input_file={folder}/records", f"--eval_file={folder}/records", "--preset=tiny",
        f"--output_dir={folder}/pretrained", "--train_batch_size=8", "--num_train_steps=30",
        "--learning_rate=1e-3", "--random_seed=3")  # fmt: skip
    with pytest.warns(UserWarning, match=r"its head \(pretraining\) is not used"):
        run("finetune", f"--model_dir={folder}/pretrained/model", f"--train_file={folder}/train.tsv",
            f"--eval_file={folder}/dev.tsv", f"--output_dir={folder}/model", "--num_train_epochs=10",
            "--train_batch_size=8", "--learning_rate=2e-3", "--max_seq_length=16", "--random_seed=3",
            "--task=classification")  # fmt: skip
    run("export", f"--model_dir={folder}/model", f"--output_dir={folder}/serving")
    run("export", f"--model_dir={folder}/model", f"--output_dir={folder}/edge", "--format=tflite")
    return folder


def run(*arguments):
    assert main(list(arguments)) == 0


def test_pretraining_leaves_a_model_and_its_course(line):
    names = {path.name for path in (line / "pretrained").iterdir()}
    assert {"model", "states", "tensorboard", "metrics.jsonl", "history.png", "README.md"} <= names
    rows = [json.loads(row) for row in (line / "pretrained" / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 30 and rows[-1]["val_mlm_loss"] < rows[0]["mlm_loss"]
    config = json.loads((line / "pretrained" / "model" / "config.json").read_text())
    assert config["architectures"] == ["BertForPreTraining"]


def test_the_trained_model_has_learnt_the_words(line, capsys):
    run(
        "evaluate",
        f"--model_dir={line}/model",
        f"--input_file={line}/dev.tsv",
        f"--output_file={line}/scores.json",
    )
    scores = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert scores["accuracy"] == 1.0
    assert scores == json.loads((line / "scores.json").read_text())


def test_the_run_leaves_a_folder_one_can_read(line):
    names = {path.name for path in (line / "model").iterdir()}
    assert {
        "README.md",
        "metrics.jsonl",
        "history.png",
        "config.json",
        "model.safetensors",
        "vocab.txt",
    } <= names
    rows = [json.loads(row) for row in (line / "model" / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["val_accuracy"] == 1.0
    assert rows[-1]["step"] == 10 * 5


def test_the_saved_model_answers_as_predict_does(line, capsys):
    import tensorflow as tf

    run("predict", f"--model_dir={line}/model", "--text=the film was very dull .", "--text=it was warm .")
    predicted = [json.loads(row) for row in capsys.readouterr().out.splitlines()]
    served = tf.saved_model.load(str(line / "serving" / "1")).signatures["serving_default"](
        text=tf.constant(["the film was very dull .", "it was warm ."])
    )
    assert [row["label"] for row in predicted] == ["bad", "good"]
    assert [label.decode() for label in served["label"].numpy()] == ["bad", "good"]
    np.testing.assert_allclose(served["scores"], [row["scores"] for row in predicted], atol=1e-5)


def test_the_tflite_file_answers_as_predict_does(line, capsys):
    from ai_edge_litert.interpreter import Interpreter

    import keras_bert as kb

    run("predict", f"--model_dir={line}/model", "--text=it was awful .")
    predicted = json.loads(capsys.readouterr().out)
    encoding = kb.Tokenizer.from_folder(line / "model").encode("it was awful .")
    ids = np.zeros((1, 16), np.int32)
    ids[0, : len(encoding.token_ids)] = encoding.token_ids
    runner = Interpreter(str(line / "edge" / "model.tflite")).get_signature_runner()
    answer = runner(token_ids=ids, segment_ids=np.zeros_like(ids), padding_mask=np.int32(ids != 0))
    np.testing.assert_allclose(answer["scores"][0], predicted["scores"], atol=0.02)


def test_predict_reads_lines_of_standard_input(line, monkeypatch, capsys):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("it was good .\nit was bad .\n"))
    run("predict", f"--model_dir={line}/model", "--input_file=-")
    assert [json.loads(row)["label"] for row in capsys.readouterr().out.splitlines()] == ["good", "bad"]
