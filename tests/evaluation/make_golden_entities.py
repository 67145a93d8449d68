"""Writes golden_entities.json.xz: what seqeval finds in 1,000 small files of random tags, in every mode.

Run it where seqeval is installed (it is no dependency of the tests; written with seqeval 1.2.2):
    python tests/evaluation/make_golden_entities.py
"""

import importlib.metadata
import json
import lzma
import random
import warnings
from pathlib import Path

from seqeval.metrics import sequence_labeling, v1
from seqeval.scheme import IOB2, IOBES, Entities

SCHEMES = {"": ("BIESO", None), "IOB2": ("BIO", IOB2), "IOBES": ("BIESO", IOBES)}
LABELS = ("-PER", "-LOC", "-人名", "-A-B", "")


def sentence(rng, prefixes, length):
    """Half of the tags begin, go on or end what stands before them, the others are any tags at all."""
    tags = []
    labels = LABELS[: rng.randint(1, len(LABELS))]
    for _ in range(length):
        label = tags[-1][1:] if tags and rng.random() < 0.6 else rng.choice(labels)
        prefix = rng.choice(prefixes + "OO")
        tags.append("O" if prefix == "O" and rng.random() < 0.95 else prefix + label)
    return tags


def case(rng, scheme):
    prefixes, _ = SCHEMES[scheme]
    gold = [sentence(rng, prefixes, rng.randint(0, 9)) for _ in range(rng.randint(1, 4))]
    kind = rng.random()
    if kind < 0.1:
        predicted = [["O"] * len(tags) for tags in gold]
    elif kind < 0.2:
        predicted, gold = gold, [["O"] * len(tags) for tags in gold]
    else:
        others = [sentence(rng, prefixes, len(tags)) for tags in gold]
        predicted = [
            [ours if rng.random() < 0.7 else other for ours, other in zip(*pair, strict=True)]
            for pair in zip(gold, others, strict=True)
        ]
    return gold, predicted


def spans(tags, scheme):
    if scheme is None:
        return [(label, first, last + 1) for label, first, last in sequence_labeling.get_entities(tags)]
    return [entity.to_tuple()[1:] for entity in Entities([tags], scheme).entities[0]]


def golden(rng, mode):
    gold, predicted = case(rng, mode)
    scheme = SCHEMES[mode][1]

    def scored(average):
        if scheme is None:
            return sequence_labeling.precision_recall_fscore_support(
                gold, predicted, average=average, zero_division=0
            )
        return v1.precision_recall_fscore_support(
            gold, predicted, average=average, zero_division=0, scheme=scheme
        )

    found = [[spans(tags, scheme) for tags in side] for side in (gold, predicted)]
    labels = sorted({label for side in found for row in side for label, _, _ in row})
    scores = {"types": {}, "precision": 0.0, "recall": 0.0, "f1": 0.0, "macro_f1": 0.0, "weighted_f1": 0.0}
    if labels:  # seqeval cannot average over none
        rows = zip(*(column.tolist() for column in scored(None)), strict=True)
        scores["types"] = dict(zip(labels, rows, strict=True))
        scores["precision"], scores["recall"], scores["f1"], _ = map(float, scored("micro"))
        scores["macro_f1"], scores["weighted_f1"] = float(scored("macro")[2]), float(scored("weighted")[2])
    tags = [[" ".join(tags) for tags in side] for side in (gold, predicted)]
    return {"scheme": mode, "tags": tags, "spans": found, **scores}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    rng = random.Random(0)
    cases = [golden(rng, mode) for mode in SCHEMES for _ in range(1000)]
    document = {"seqeval": importlib.metadata.version("seqeval"), "cases": cases}
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"
    Path(__file__).with_name("golden_entities.json.xz").write_bytes(lzma.compress(text.encode(), preset=9))
