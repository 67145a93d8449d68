"""The model card: the README.md of a saved folder."""

import statistics

from keras_bert.reports.progress import duration
from keras_bert.reports.tables import markdown


def model_card(*, title, task, labels, origin, data, settings, scores, config, example) -> str:
    """A card that says what the model is, what it was trained on, how well it does, how it is used.

    Args:
        title: str.
        task: str. The task's name.
        labels: sequence of str or None.
        origin: str. What the weights started from.
        data: dict. File names and row counts.
        settings: dict. Of the training.
        scores: dict or None. On the evaluation file.
        config: BertConfig.
        example: list or dict. What `predict` may be asked.
    Returns:
        str: Markdown.
    """
    parts = [f"# {title}", f"A BERT ({_shape(config)}) for {task}, trained with keras_bert from {origin}."]
    if labels:
        parts.append(
            "Classes, in the order of the outputs: " + ", ".join(f"`{label}`" for label in labels) + "."
        )
    parts.append("## Use")
    parts.append(
        f'```python\nimport keras_bert as kb\n\nbert = kb.load(".")\nprint(bert.predict({example!r}))\n```'
    )
    if scores:
        count = f" ({scores['rows']} rows)" if "rows" in scores else ""
        parts += [
            f"## Scores on {data.get('eval_file')}{count}", markdown(["score", "value"], _numbers(scores)),
        ]  # fmt: skip
    parts += [
        "## Training",
        markdown(["setting", "value"], [[k, str(v)] for k, v in {**data, **settings}.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def example_for(task):
    """Something to ask a model of this task, for its card."""
    text = "Type a [MASK] here." if "[MASK]" in task.allow_special else "Type a {} here."
    columns = {name: [text.format(name)] for name in task.columns}
    columns |= {name: [["one", "another"]] for name in task.list_columns}
    return columns if len(columns) > 1 else columns[task.columns[0]]


def _numbers(scores, part="") -> list:
    """The rows of a table of scores; those of a task's parts under the names of both."""
    rows = [[f"{part}{name}", f"{value:.4f}"] for name, value in scores.items() if isinstance(value, float)]
    for name, value in scores.items():
        if isinstance(value, dict) and name not in ("types", "interval"):
            rows += _numbers(value, f"{name}, ")
    return rows


def pretraining_card(*, title, origin, config, corpus, data, settings, rows, scores, picture=None) -> str:
    """A card for a pretrained model.

    Args:
        title: str.
        origin: str. What the weights started from: `"random weights"`, or the name of a folder.
        config: BertConfig.
        corpus: `keras_bert.corpus.manifest.Manifest`, or None where the records came without one.
        data: dict. What else is known of the records, and of those of the evaluation (`eval_file`).
        settings: dict. Of the training.
        rows: list of dict. The course of the run, as `MetricsLog.rows`.
        scores: dict or None. On the evaluation records.
        picture: str or None. The file name of the history, where it was drawn.
    Returns:
        str: Markdown.
    """
    what = (
        f"A BERT ({_shape(config)}, {config.vocabulary_size} pieces), pretrained with keras_bert from "
        f"{origin}: {_summary(rows)}."
    )
    parts = [f"# {title}", what, "## Use", _USE]
    if scores:
        named = [[name, value] for name, value in scores.items() if isinstance(value, float)]
        parts += [f"## Scores on {data.get('eval_file')}", markdown(["score", "value"], named)]
    if picture:
        parts += ["## The course of the run", f"![loss and accuracy over steps and examples]({picture})"]
    parts += ["## Corpus", _table({**_corpus(corpus), **data})]
    parts += ["## Training", _table({**settings, **_run(rows)})]
    return "\n\n".join(parts) + "\n"


_USE = """Fine-tune it:

```bash
keras-bert finetune --model_dir=model --task=classification --train_file=train.tsv --eval_file=dev.tsv \\
    --output_dir=../classifier
```

Load it, with a new head or for its vectors:

```python
import keras_bert as kb

bert = kb.load("model", task="classification", labels=["negative", "positive"])
vectors = kb.load("model").encode(["Type a text here."])["sequence_output"]
```"""


def _shape(config) -> str:
    return (
        f"{config.num_layers} layers, width {config.hidden_dim}, {config.num_heads} heads, "
        f"{config.num_parameters / 1e6:.1f} million parameters in encoder and pooler"
    )


def _table(values: dict) -> str:
    """A table of settings; what is None is left out."""
    return markdown(["setting", "value"], [[k, str(v)] for k, v in values.items() if v is not None])


def _corpus(manifest) -> dict:
    """What the manifest of a corpus says that a reader asks for."""
    if manifest is None:
        return {}
    names = ("documents", "sentences", "tokens")
    return {
        **{name: f"{manifest.counts[name]:,}" for name in names if name in manifest.counts},
        "examples": f"{manifest.num_examples:,}",
        "vocabulary": f"{manifest.vocabulary.get('pieces'):,} pieces",
        "vocabulary_sha256": manifest.vocabulary.get("sha256"),
        **manifest.settings,
    }


def _summary(rows) -> str:
    """300 steps, 38,400 examples, 4.9 million tokens, in 2 min."""
    if not rows:
        return "0 steps"
    last = rows[-1]
    parts = [f"{last['step']:,} steps", f"{last['examples']:,} examples"]
    if "tokens" in last:
        parts.append(f"{last['tokens'] / 1e6:,.1f} million tokens")
    return f"{', '.join(parts)}, in {duration(last['seconds'])}"


def _run(rows) -> dict:
    """Steps and time, and the median rates, which stalls and the first, slow steps do not touch."""
    if not rows:
        return {}
    last, result = rows[-1], {}
    for name in ("step", "examples", "tokens"):
        if name in last:
            result["steps" if name == "step" else f"{name}_seen"] = f"{last[name]:,}"
    result["training_seconds"] = round(last["seconds"], 1)
    for name in ("examples_per_second", "tokens_per_second", "gflop_per_second"):
        rates = [row[name] for row in rows if row.get(name) is not None]
        if rates:
            result[name] = f"{statistics.median(rates):,.1f}"
    return result
