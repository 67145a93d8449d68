import json
import lzma
from pathlib import Path

import pytest

from keras_bert.evaluation.entities import entity_scores, spans_of_tags

GOLDEN = json.loads(lzma.decompress(Path(__file__).with_name("golden_entities.json.xz").read_bytes()))
AVERAGES = ("precision", "recall", "f1", "macro_f1", "weighted_f1")


def of_scheme(scheme):
    cases = [case for case in GOLDEN["cases"] if case["scheme"] == scheme]
    assert len(cases) == 1000
    return cases


@pytest.mark.parametrize("scheme", ["", "IOB2", "IOBES"], ids=["lenient", "IOB2", "IOBES"])
def test_spans_and_scores_equal_seqeval(scheme):
    for case in of_scheme(scheme):
        found = [[spans_of_tags(tags.split(), scheme or None) for tags in side] for side in case["tags"]]
        assert [[list(map(list, spans)) for spans in side] for side in found] == case["spans"], case["tags"]
        scores = entity_scores(*found)
        assert [scores[name] for name in AVERAGES] == pytest.approx(
            [case[name] for name in AVERAGES], rel=0, abs=1e-9
        )
        assert list(scores["types"]) == list(case["types"])
        for label, values in case["types"].items():
            row = scores["types"][label]
            assert list(row) == ["precision", "recall", "f1", "support"]
            assert list(row.values()) == pytest.approx(values, rel=0, abs=1e-9)


def test_the_example_of_the_docstring():
    tags = "B-PER I-PER O I-LOC".split()
    assert spans_of_tags(tags) == [("PER", 0, 2), ("LOC", 3, 4)]
    assert spans_of_tags(tags, "IOB2") == [("PER", 0, 2)]


def test_a_span_at_the_end_of_the_sentence_ends_there():
    for scheme in (None, "IOB2"):
        assert spans_of_tags(["O", "B-PER", "I-PER"], scheme) == [("PER", 1, 3)]
    assert spans_of_tags(["O", "B-PER", "E-PER"], "IOBES") == [("PER", 1, 3)]


def test_a_span_that_nothing_ends_counts_only_leniently_under_iobes():
    tags = ["B-PER", "I-PER", "O", "S-LOC"]
    assert spans_of_tags(tags) == [("PER", 0, 2), ("LOC", 3, 4)]
    assert spans_of_tags(tags, "IOBES") == [("LOC", 3, 4)]


def test_neighbours_of_one_label_are_two_spans():
    assert spans_of_tags(["B-PER", "B-PER"]) == [("PER", 0, 1), ("PER", 1, 2)]
    assert spans_of_tags(["S-PER", "I-PER"]) == [("PER", 0, 1), ("PER", 1, 2)]


def test_tags_of_a_prefix_or_a_label_alone_spell_spans_too():
    assert spans_of_tags(["B", "I", "O", "B"]) == [("_", 0, 2), ("_", 3, 4)]
    assert spans_of_tags(["PER", "PER", "O", "LOC"]) == [("PER", 0, 2), ("LOC", 3, 4)]


def test_a_label_may_hold_a_dash():
    assert spans_of_tags(["B-A-B", "I-A-B", "I-A"]) == [("A-B", 0, 2), ("A", 2, 3)]


def test_a_sentence_without_words_has_no_spans():
    assert [spans_of_tags([], scheme) for scheme in (None, "IOB2", "IOBES")] == [[], [], []]


@pytest.mark.parametrize(
    ("tags", "scheme", "message"),
    [
        (["B-PER"], "BILOU", "one of IOB2, IOBES. Received: scheme='BILOU'"),
        (["O", "S-PER"], "IOB2", r"IOB2 has no prefix 'S'. Received: tags=\['O', 'S-PER'\]"),
    ],
)
def test_a_scheme_refuses_what_it_does_not_know(tags, scheme, message):
    with pytest.raises(ValueError, match=message):
        spans_of_tags(tags, scheme)


def test_scores_worked_by_hand():
    gold = [[("PER", 0, 2), ("LOC", 3, 4)], [("PER", 0, 1)], []]
    predicted = [[("PER", 0, 2), ("LOC", 3, 5)], [], [("ORG", 0, 1)]]
    scores = entity_scores(gold, predicted)
    assert (scores["precision"], scores["recall"], scores["f1"]) == (1 / 3, 1 / 3, 1 / 3)
    assert scores["types"] == {
        "LOC": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1},
        "ORG": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0},
        "PER": {"precision": 1.0, "recall": 0.5, "f1": 2 / 3, "support": 2},
    }
    assert scores["macro_f1"] == pytest.approx(2 / 9)
    assert scores["weighted_f1"] == pytest.approx(4 / 9)


def test_a_span_of_another_row_or_another_label_is_wrong():
    assert entity_scores([[("PER", 0, 1)], []], [[], [("PER", 0, 1)]])["f1"] == 0.0
    assert entity_scores([[("PER", 0, 1)]], [[("LOC", 0, 1)]])["f1"] == 0.0


def test_a_span_named_twice_counts_once():
    once, twice = [[("PER", 0, 1), ("LOC", 1, 2)]], [[("PER", 0, 1), ("PER", 0, 1), ("LOC", 1, 2)]]
    assert entity_scores(twice, once) == entity_scores(once, twice) == entity_scores(once, once)
    assert entity_scores(twice, once)["types"]["PER"]["support"] == 1


def test_without_spans_every_score_is_zero():
    nothing = {**dict.fromkeys(AVERAGES, 0.0), "types": {}}
    assert entity_scores([], []) == entity_scores([[], []], [[], []]) == nothing
    assert entity_scores([[]], [[("PER", 0, 1)]])["weighted_f1"] == 0.0


def test_rows_may_be_any_iterables_of_spans():
    assert entity_scores([{("PER", 0, 1)}], (iter([("PER", 0, 1)]),))["f1"] == 1.0


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match="one entry a row. Received: 2 and 1 rows"):
        entity_scores([[], []], [[]])
