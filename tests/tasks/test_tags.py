"""Tags: what each scheme spells, and which tag may follow which."""

import itertools

import pytest

from keras_bert.errors import DataError
from keras_bert.tasks.tags import tags_of


@pytest.mark.parametrize(
    ("scheme", "names"),
    [
        ("BIO", ("O", "B-a", "I-a", "B-b", "I-b")),
        ("BIOES", ("O", "B-a", "I-a", "E-a", "S-a", "B-b", "I-b", "E-b", "S-b")),
        ("IO", ("O", "a", "b")),
        ("tags", ("a", "b")),
    ],
)
def test_types_become_the_tags_of_the_scheme(scheme, names):
    tags = tags_of(["a", "b"], scheme)
    assert tags.names == names and tags.types == ("a", "b")


def test_tags_of_a_checkpoint_stay_in_their_order():
    tags = tags_of(["B-PER", "O", "I-PER", "B-ORG", "I-ORG"])
    assert tags.names == ("B-PER", "O", "I-PER", "B-ORG", "I-ORG")
    assert tags.outside == 1 and tags.types == ("PER", "ORG") and tags.type_of == (0, -1, 0, 1, 1)


def test_a_type_may_hold_a_dash():
    assert tags_of(["O", "B-X-ray", "I-X-ray"]).types == ("X-ray",)
    assert tags_of(["X-ray"], "IO").types == ("X-ray",)


def test_where_every_unit_has_a_type_none_is_outside():
    assert tags_of(["a", "b"], "tags").outside == -1 and tags_of(["a", "b"], "IO").outside == 0


def test_places_a_scheme_does_not_tell_apart_share_a_tag():
    tags = tags_of(["a"], "BIO")
    assert [tags.of_type(p) for p in "BIES"] == [[1], [2], [2], [1]]
    assert [tags_of(["a"], "IO").of_type(p) for p in "BIES"] == [[1]] * 4


@pytest.mark.parametrize("scheme", ["BIO", "BIOES", "IO", "tags"])
def test_the_rules_allow_exactly_what_the_scheme_can_spell(scheme):
    tags = tags_of(["a", "b"], scheme)
    follows, first, last = tags.allowed()
    for path in itertools.product(range(len(tags.names)), repeat=3):
        allowed = (
            first[path[0]] and last[path[-1]] and all(follows[a][b] for a, b in itertools.pairwise(path))
        )
        assert bool(allowed) == is_spelt([tags.names[tag] for tag in path], scheme), path


def is_spelt(names, scheme):
    """Whether a sequence of tags is one that spans can be written as, by a small automaton of its own."""
    if scheme in ("IO", "tags"):
        return True
    open_type = None
    for name in names:
        prefix, _, kind = name.partition("-")
        if prefix in ("I", "E") and open_type != kind:
            return False
        if scheme == "BIOES" and open_type is not None and prefix not in ("I", "E"):
            return False
        open_type = kind if prefix in (("B", "I") if scheme == "BIOES" else ("B", "I")) else None
    return not (scheme == "BIOES" and open_type is not None)


@pytest.mark.parametrize(("labels", "scheme"), [([], "BIO"), (["a", "a"], "BIO"), (["a"], "BILOU")])
def test_labels_that_cannot_be_are_refused(labels, scheme):
    with pytest.raises(DataError):
        tags_of(labels, scheme)
