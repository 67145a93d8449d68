"""What export does to an SST-2 model: sizes, differences and agreement on the 872 dev sentences.

    python tests/benchmarks/export_sst2.py --data=DATA/glue/SST-2 --model=FOLDER_OF_A_FINE_TUNED_MODEL

Every artefact is read back in a process of its own and asked all dev sentences; agreement is the share
of them on which the largest score is the same as Keras'.
"""

import argparse
import pathlib
import tempfile

import numpy as np

import keras_bert as kb
from keras_bert.recipes.quickstart import FORMATS
from keras_bert.reports.tables import render

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", required=True)
    given = parser.parse_args()
    bert = kb.load(given.model)
    lines = pathlib.Path(given.data, "dev.tsv").read_text(encoding="utf-8").splitlines()[1:]
    labels, texts = zip(*(line.split("\t") for line in lines), strict=True)
    expected = [bert.task.labels.index(label) for label in labels]
    rows = [["Keras", "", "", "", "", f"{bert.evaluate((list(texts), list(labels)))['accuracy']:.4f}"]]
    with tempfile.TemporaryDirectory() as folder:
        for name, path, options in FORMATS:
            report = bert.export(pathlib.Path(folder, path), probe_columns={"text": list(texts)}, **options)
            right = np.mean(np.argmax(report["probe_scores"], axis=-1) == expected)
            factor = report["weights_bytes"] / (4 * report["parameters"])
            sizes = [f"{report['bytes'] / 1e6:.2f}", f"{factor:.4f}"]
            rows.append(
                [
                    name,
                    *sizes,
                    f"{report['max_difference']:.1e}",
                    f"{report['agreement']:.4f}",
                    f"{right:.4f}",
                ]
            )
    columns = ["", "MB", "weights / (4 x parameters)", "largest difference", "agreement", "accuracy"]
    print(render(columns, rows))
