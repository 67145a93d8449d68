"""The model card: the README.md of a saved folder."""

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
        example: str. A text to try.
    Returns:
        str: Markdown.
    """
    shape = (
        f"{config.num_layers} layers, width {config.hidden_dim}, {config.num_heads} heads, "
        f"{config.num_parameters / 1e6:.1f} million parameters in encoder and pooler"
    )
    parts = [f"# {title}", f"A BERT ({shape}) for {task}, trained with keras_bert from {origin}."]
    if labels:
        parts.append(
            "Classes, in the order of the outputs: " + ", ".join(f"`{label}`" for label in labels) + "."
        )
    parts.append("## Use")
    parts.append(
        f'```python\nimport keras_bert as kb\n\nbert = kb.load(".")\nprint(bert.predict([{example!r}]))\n```'
    )
    if scores:
        rows = [[name, f"{value:.4f}"] for name, value in scores.items() if isinstance(value, float)]
        parts += [
            f"## Scores on {data.get('eval_file')} ({scores.get('rows')} rows)",
            markdown(["score", "value"], rows),
        ]
    parts += [
        "## Training",
        markdown(["setting", "value"], [[k, str(v)] for k, v in {**data, **settings}.items()]),
    ]
    return "\n\n".join(parts) + "\n"
