"""The card of a pretrained model says what a reader asks, with figures from the run itself."""

import ast
import shlex

from absl import flags

from keras_bert.config import BertConfig
from keras_bert.corpus.manifest import Manifest, Shard
from keras_bert.reports.card import pretraining_card

MANIFEST = Manifest(
    settings={"max_seq_length": 128, "masked_lm_prob": 0.15, "dupe_factor": None},
    vocabulary={"sha256": "ab" * 32, "pieces": 8000},
    inputs=[],
    plan="",
    counts={"documents": 50000, "sentences": 600000, "tokens": 14000000, "examples": 130000},
    lengths=[],
    shards=[Shard("a", 130000, 1, "cd" * 32)],
)
ROWS = [
    {"step": step, "examples": 128 * step, "tokens": 12800 * step, "seconds": 12.0 * step, "loss": 2.0,
     "examples_per_second": rate, "tokens_per_second": 100 * rate, "gflop_per_second": rate / 2}
    for step, rate in ((100, 3.0), (200, 11.0), (300, 10.0))
]  # fmt: skip


def card(**changes):
    settings = {
        "title": "mini", "origin": "random weights",
        "config": BertConfig.preset("mini", vocabulary_size=8000),
        "corpus": MANIFEST, "data": {"input_file": "imdb", "eval_file": "held-out"},
        "settings": {"learning_rate": 1e-4, "ema": None}, "rows": ROWS,
        "scores": {"mlm_accuracy": 0.41236, "rows": 7}, "picture": "history.png",
    }  # fmt: skip
    return pretraining_card(**{**settings, **changes})


def test_the_card_tells_model_run_corpus_and_scores():
    text = card()
    assert text.startswith("# mini\n\nA BERT (4 layers, width 256, 4 heads, ")
    for line in (
        "300 steps, 38,400 examples, 3.8 million tokens, in 60 min.",
        "| documents | 50,000 |", "| examples | 130,000 |", "| vocabulary | 8,000 pieces |",
        f"| vocabulary_sha256 | {'ab' * 32} |", "| masked_lm_prob | 0.15 |", "| input_file | imdb |",
        "## Scores on held-out", "| mlm_accuracy | 0.4124 |",
        "| learning_rate | 0.0001 |", "| steps | 300 |", "| examples_seen | 38,400 |",
        "| tokens_seen | 3,840,000 |", "| training_seconds | 3600.0 |",
        "| examples_per_second | 10.0 |", "| tokens_per_second | 1,000.0 |", "| gflop_per_second | 5.0 |",
        "![loss and accuracy over steps and examples](history.png)",
        'kb.load("model", task="classification"', "keras-bert finetune --model_dir=model ",
    ):  # fmt: skip
        assert line in text, line
    assert "None" not in text


def test_what_is_not_known_is_left_out():
    text = card(corpus=None, scores=None, rows=[], picture=None)
    assert "Scores" not in text and "![" not in text and "documents" not in text and "sha256" not in text
    assert "0 steps" in text and "| input_file | imdb |" in text


def test_command_and_code_of_the_card_are_ours():
    from keras_bert.cli import finetune

    blocks = card().split("```")
    words = shlex.split(blocks[1].removeprefix("bash\n").replace("\\\n", ""))
    values = flags.FlagValues()
    finetune.define(values)
    assert words[:2] == ["keras-bert", "finetune"] and values(words[1:], known_only=False) == ["finetune"]
    ast.parse(blocks[3].removeprefix("python\n"))
