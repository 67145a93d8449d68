"""Faults of fine-tuning runs that a reader of the code found: flags without effect, cards that say less."""

import json
import re

import pytest

import keras_bert as kb
from keras_bert.cli.main import main
from keras_bert.recipes.finetune import FinetuneRun

WORDS = "a the big red dog who was it anna funny dull film barks cat".split()
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES))
    (tmp_path / "mood.tsv").write_text("text\tlabel\na funny film\tgood\na dull film\tbad\n" * 4)
    (tmp_path / "who.jsonl").write_text(
        '{"question": "who was it", "context": "it was anna", "answers": [{"text": "anna", "start": 7}]}\n'
        * 4
    )
    return tmp_path


def run(folder, *flags):
    common = ["--preset=tiny", f"--vocab_file={folder}/vocab.txt", f"--output_dir={folder}/out",
              "--num_train_epochs=1", "--train_batch_size=4"]  # fmt: skip
    return main(["finetune", *common, *flags])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--task=classification", "--train_file={}/mood.tsv", "--patience=2"], "which epoch is better"),
        (["--task=question_answering", "--train_file={}/who.jsonl", "--label_smoothing=0.1"], "smoothing"),
        (["--task=multi_task", "--train_file=mood={}/mood.tsv", "--labels=a,b"], "labels of its own"),
        (["--task=classification", "--train_file={}/mood.tsv", "--random_seed=5000000000"], "4294967295"),
        (["--task=classification", "--train_file={}/mood.tsv", "--seeds=0,5000000000"], "4294967295"),
    ],
)
def test_what_would_have_no_effect_or_end_in_a_traceback_is_refused(folder, capsys, flags, said):
    assert run(folder, *(flag.format(folder) for flag in flags)) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_a_seeds_folder_that_is_not_ours_is_found_before_the_first_is_trained(folder, capsys):
    (folder / "out" / "seed_1").mkdir(parents=True)
    (folder / "out" / "seed_1" / "mine.txt").write_text("mine")
    assert run(folder, "--task=classification", f"--train_file={folder}/mood.tsv", "--seeds=0,1") == 2
    assert not (folder / "out" / "seed_0").exists()


def test_zero_stands_on_the_card_where_it_is_a_choice():
    settings = FinetuneRun(
        train_file="x", output_dir="y", dropout=0.0, weight_decay=0.0, warmup_proportion=0.0, frozen_blocks=0
    ).training()
    assert {"dropout", "weight_decay", "warmup_proportion", "frozen_blocks"} <= settings.keys()
    assert not {"patience", "r_drop", "class_weights", "warmup_steps"} & settings.keys()


def test_what_the_card_says_can_be_run(folder, monkeypatch, capsys):
    flags = ["--task=question_answering", f"--train_file={folder}/who.jsonl", "--activation=gelu_approximate"]
    assert run(folder, *flags) == 0
    card = (folder / "out" / "README.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    monkeypatch.chdir(folder / "out")
    capsys.readouterr()
    exec(code, {})
    assert "n_best" in capsys.readouterr().out
    assert '"gelu_new"' in (folder / "out" / "config.json").read_text()  # what transformers calls it


def test_the_card_and_the_errors_of_a_model_of_parts_name_them(folder, capsys):
    flags = [
        "--task=multi_task",
        '--task_settings={"parts": {"mood": {"name": "classification"}, "kind": {"name": "classification"}}}',
        *(f"--{name}=mood={folder}/mood.tsv,kind={folder}/mood.tsv" for name in ("train_file", "eval_file")),
    ]
    assert run(folder, *flags) == 0
    card = (folder / "out" / "README.md").read_text()
    assert "mood=mood.tsv, kind=mood.tsv" in card and "None rows" not in card
    assert "mood, accuracy" in card and "kind, macro_f1" in card
    worst = [json.loads(line) for line in (folder / "out" / "errors.jsonl").read_text().splitlines()]
    assert {row["part"] for row in worst} <= {"mood", "kind"} and all(row["badness"] > 0 for row in worst)
    flags = [f"--model_dir={folder}/out", f"--input_file=mood={folder}/mood.tsv,kind={folder}/mood.tsv"]
    assert main(["evaluate", *flags, f"--errors_file={folder}/worst.jsonl", "--resamples=20"]) == 0
    assert '"interval"' in capsys.readouterr().out
    assert '"file": "kind"' in (folder / "worst.jsonl").read_text()
    assert main(["evaluate", f"--model_dir={folder}/out", f"--input_file={folder}/mood.tsv"]) == 2
    assert "mood=FILE, kind=FILE" in capsys.readouterr().err


def test_the_thresholds_of_a_part_are_tuned_and_kept(folder, capsys):
    rows = ["a funny film\twarm", "a dull film\tcold", "a big red dog\twarm,cold", "the cat\t"]
    (folder / "labels.tsv").write_text("text\tlabels\n" + "".join(f"{row}\n" for row in rows) * 2)
    parts = {"mood": {"name": "classification"}, "many": {"name": "multi_label"}}
    flags = [
        "--task=multi_task",
        f"--task_settings={json.dumps({'parts': parts})}",
        *(
            f"--{name}=mood={folder}/mood.tsv,many={folder}/labels.tsv"
            for name in ("train_file", "eval_file")
        ),
    ]
    assert run(folder, *flags) == 0
    assert "many.thresholds" in capsys.readouterr().err
    bert = kb.load(folder / "out")
    thresholds = bert.task.settings()["parts"]["many"]["thresholds"]
    gold, answers = bert.part("many").answered(folder / "labels.tsv")
    assert bert.task.parts["many"].tuned(gold, answers)["thresholds"] == pytest.approx(thresholds, abs=1e-6)
    assert thresholds != [0.5, 0.5]
