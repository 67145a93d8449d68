"""A sample of the random strings of fuzz_forms.py; the script takes any number of them."""

import fuzz_forms
import google_reference
import pytest


@pytest.mark.parametrize("seed", [1_000_001, 1_000_003])
def test_python_graph_and_oracle_agree_on_random_strings(seed):
    found = fuzz_forms.disagreements(seed, num_strings=200, with_oracle=google_reference.knows_unicode_14)
    assert not found, "\n".join(found[:5])
