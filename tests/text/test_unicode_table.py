"""The baked table: complete, and the one that the script bakes."""

import unicodedata
from pathlib import Path

import bake_unicode_table
import google_reference
import numpy as np
import pytest

from keras_bert.text import unicode_table
from keras_bert.text.graph_tables import forms_table
from keras_bert.text.unicode_table import NUM_CODE_POINTS, normal_forms

needs_unicode_14 = pytest.mark.skipif(
    not google_reference.knows_unicode_14, reason="this Python knows another Unicode"
)


@pytest.mark.slow
@needs_unicode_14
def test_the_table_in_the_package_is_what_the_script_bakes():
    stored = dict(np.load(Path(unicode_table.__file__).with_name("unicode_14.npz"), allow_pickle=False))
    baked = bake_unicode_table.bake()
    assert stored.keys() == baked.keys()
    for name, values in baked.items():
        np.testing.assert_array_equal(stored[name], values, err_msg=name)


@needs_unicode_14
def test_normal_forms_are_lower_case_then_nfd_without_marks():
    forms = normal_forms(lowercase=True, strip_accents=True)
    for point in range(0, NUM_CODE_POINTS, 7):
        char = chr(point)
        if unicodedata.category(char) in ("Cc", "Cf", "Cs"):
            continue
        decomposed = unicodedata.normalize("NFD", char.lower())
        expected = "".join(part for part in decomposed if unicodedata.category(part) != "Mn")
        assert "".join(map(chr, forms.get(point, (point,)))) == expected, hex(point)


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("strip_accents", [True, False])
def test_pages_give_back_every_code_point(lowercase, strip_accents):
    table = forms_table(lowercase, strip_accents, split_chinese=False, split_punctuation=False)
    forms = normal_forms(lowercase, strip_accents)
    points, flags = np.arange(NUM_CODE_POINTS), unicode_table.unicode_table().flags
    entries = table.blocks[table.pages[points >> 8] * 256 + (points & 255)] + points[:, None]
    counts = (entries >= 0).sum(axis=1)
    assert set(np.flatnonzero(counts == 0)) == {point for point, form in forms.items() if not form}
    changed = sorted(point for point in forms if not flags[point] & unicode_table.SPACE)
    found = [tuple(entry & 0x1FFFFF for entry in entries[point].tolist() if entry >= 0) for point in changed]
    assert found == [forms[point] for point in changed]
    spaces = unicode_table.unicode_table().members(unicode_table.SPACE)
    assert (entries[spaces, 0] & 0x1FFFFF == ord(" ")).all()
    same = np.delete(points, [*changed, *spaces])
    assert (entries[same, 0] & 0x1FFFFF == same).all()
