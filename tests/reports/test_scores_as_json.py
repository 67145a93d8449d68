"""What `evaluate` prints for programs is JSON, whatever the scores are."""

import json

from keras_bert.reports.scores import as_json


def refuse(constant):
    raise AssertionError(f"{constant} is no JSON")


def test_a_score_that_is_no_number_is_null_wherever_it_stands():
    scores = {
        "pearson": float("nan"),
        "parts": {"a": {"f1": float("inf")}},
        "values": [1.0, float("nan")],
        "rows": 3,
    }
    read = json.loads(as_json(scores), parse_constant=refuse)
    assert read == {"pearson": None, "parts": {"a": {"f1": None}}, "values": [1.0, None], "rows": 3}
    assert as_json({"标签": [0.5, 2, "好"]}) == '{"标签": [0.5, 2, "好"]}'
