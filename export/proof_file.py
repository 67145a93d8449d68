"""`proof.json`, and the same as a table: how an export was scored before it was published."""

import datetime
import json
import pathlib

from keras_bert.files.atomic import atomic_file
from keras_bert.files.manifest import sha256_of
from keras_bert.reports.export import proof_table


def proof_rows(artefact: str, format: str, size: int, report: dict) -> list:
    """What is said of one artefact, one dict for everything that the user's rows were put to.

    Args:
        artefact: str. Its name.
        format: str. For the reader, such as "tflite dynamic_int8".
        size: int. Bytes.
        report: of `proof.prove`.
    """
    shared = {"artefact": artefact, "format": format, "bytes": size}
    shared |= {name: report[name] for name in ("load_seconds", "latency_ms", "latency_p99_ms")}
    return [{**shared, "asked": asked, **judged} for asked, judged in report.get("proof", {}).items()]


def write_proof(json_file, table_file, evaluation, rows: list):
    """Writes both files.

    Args:
        json_file, table_file: path.
        evaluation: `Evaluation`.
        rows: of `proof_rows`.
    """
    import keras
    import tensorflow as tf

    document = {
        "evaluated": {**_of_source(evaluation.source), "rows": evaluation.num_rows},
        "task": evaluation.bert.task.name,
        "metric": evaluation.bert.task.main_score,
        "model": evaluation.reference,
        "max_metric_drop": evaluation.max_metric_drop,
        "artefacts": rows,
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    text = json.dumps(document, ensure_ascii=False, indent=1)
    pathlib.Path(json_file).write_text(text + "\n", encoding="utf-8")
    pathlib.Path(table_file).write_text(proof_table(rows) + "\n", encoding="utf-8")


def publish_proof(path, evaluation, rows: list):
    """Writes both beside a file: `model.proof.json` and `model.proof.txt` of `model.tflite`."""
    with atomic_file(path.with_suffix(".proof.json")) as json_file:
        with atomic_file(path.with_suffix(".proof.txt")) as table_file:
            write_proof(json_file, table_file, evaluation, rows)


def _of_source(source) -> dict:
    """Which rows they were: of files their names and what they held, of anything else what it is."""
    if isinstance(source, dict) and all(isinstance(one, str | pathlib.Path) for one in source.values()):
        return {"files": {name: _of_source(one) for name, one in source.items()}}
    if isinstance(source, str | pathlib.Path):
        path = pathlib.Path(source)
        return {"file": path.name, "sha256": sha256_of(path)}
    return {"source": type(source).__name__}
