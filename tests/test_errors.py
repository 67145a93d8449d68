"""An error says what, where, what was expected and what to do, and is what Python callers already catch."""

import inspect

import pytest

from keras_bert import errors

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


def test_a_message_says_what_where_expected_and_remedy():
    error = errors.DataError(
        "The label is 'good'", where="train.tsv:7", expected="0 or 1", remedy="pass --labels=bad,good"
    )
    assert str(error) == "train.tsv:7: The label is 'good'. Expected: 0 or 1. To fix: pass --labels=bad,good."


def test_the_parts_of_a_message_can_be_read_back():
    error = errors.ConfigError("a", where="b", expected="c", remedy="d")
    assert (error.what, error.where, error.expected, error.remedy) == ("a", "b", "c", "d")


def test_a_message_of_one_part_is_that_part_with_one_full_stop():
    assert str(errors.UsageError("There is no such task")) == "There is no such task."
    assert str(errors.UsageError("There is no such task.")) == "There is no such task."


def test_a_megabyte_in_a_part_is_shown_by_its_two_ends():
    part = "begin" + "x" * 2**20 + "end"
    error = errors.CheckpointError(part, where=part, expected=part, remedy=part)
    assert len(str(error)) < 5000
    for shown in (error.what, error.where, error.expected, error.remedy):
        assert shown.startswith("begin") and shown.endswith("end") and str(len(part)) in shown


def test_what_a_person_can_read_is_not_shortened():
    part = "A sentence of some fifty characters, as they go. " * 20
    assert errors.DataError(part).what == part


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_ours(kind):
    assert issubclass(kind, errors.KerasBertError)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.ConfigError, ValueError),
        (errors.DataError, ValueError),
        (errors.CheckpointError, ValueError),
        (errors.VocabularyError, ValueError),
        (errors.UsageError, ValueError),
        (errors.OutputError, OSError),
        (errors.ExportError, RuntimeError),
        (errors.MissingExtraError, ImportError),
    ],
)
def test_an_error_is_the_builtin_that_callers_catch(kind, builtin):
    with pytest.raises(builtin, match="broken"):
        raise kind("broken")
