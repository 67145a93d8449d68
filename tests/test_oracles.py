"""Published numbers: real checkpoints, by the packages that carry them, give what others measured."""

import importlib.util
import pathlib
import shutil
import warnings

import numpy as np
import pytest

import keras_bert as kb

pytestmark = pytest.mark.slow


def similarities(data_folder, bert, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of the embeddings of the pairs of an STS-B file, and the scores people gave."""
    lines = (data_folder / "glue" / "STS-B" / name).read_text(encoding="utf-8").rstrip("\n").split("\n")
    rows = [line.split("\t") for line in lines]
    header = rows.pop(0) if "score" in rows[0] else None
    first, second, score = (
        [header.index(column) for column in ("sentence1", "sentence2", "score")] if header else (5, 6, 4)
    )
    sentences, places = np.unique([[row[first], row[second]] for row in rows], return_inverse=True)
    vectors = bert.embed(sentences.tolist(), batch_size=64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = vectors[places.reshape(-1, 2)]  # (B, 2, D)
    return (pairs[:, 0] * pairs[:, 1]).sum(axis=1), np.array([float(row[score]) for row in rows])


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """The correlation of ranks; equal values share the mean of theirs."""

    def ranks(values):
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        ends = np.cumsum(counts)
        return ((ends - counts + 1 + ends) / 2)[inverse]

    return float(np.corrcoef(ranks(x), ranks(y))[0, 1])


@pytest.mark.parametrize(("split", "published"), [("dev", 0.8672), ("test", 0.8203)])
def test_minilm_gives_its_published_correlation_on_sts_b_from_raw_text(
    data_folder, minilm_folder, split, published
):
    bert = kb.load(minilm_folder)
    [path] = (data_folder / "glue" / "STS-B").glob(f"*{split}*")
    cosines, scores = similarities(data_folder, bert, path.name)
    assert len(scores) == {"dev": 1500, "test": 1379}[split]
    assert spearman(cosines, scores) == pytest.approx(published, abs=2e-4)


# The heavy chain's variable domain of trastuzumab, from its published sequence.
TRASTUZUMAB_VH = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYCSRWGGDGFY"
    "AMDYWGQGTLVTVSS"
)


def antiberty_folder() -> pathlib.Path:
    """The trained AntiBERTy inside its package."""
    package = importlib.util.find_spec("antiberty")
    if package is None:
        pytest.skip("no AntiBERTy: pip install --no-deps antiberty==0.1.3")
    folder = pathlib.Path(package.submodule_search_locations[0]) / "trained_models"
    return next(folder.glob("*/pytorch_model.bin")).parent


def test_antiberty_recovers_the_residues_of_trastuzumab_with_its_masked_lm_head(tmp_path):
    folder = antiberty_folder()
    copy = tmp_path / "antiberty"
    copy.mkdir()
    for name in ("config.json", "pytorch_model.bin"):
        shutil.copy(folder / name, copy / name)
    (copy / "vocab.txt").write_bytes((folder.parent / "vocab.txt").read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bert = kb.load(copy)
    ids = bert.tokenizer.encode(" ".join(TRASTUZUMAB_VH), max_length=512).token_ids
    length = len(TRASTUZUMAB_VH)
    assert len(ids) == length + 2
    rows = np.tile(np.array(ids, np.int32), (length, 1))
    rows[np.arange(length), np.arange(1, length + 1)] = bert.tokenizer.vocabulary.mask_id
    ones = np.ones_like(rows)
    features = {"token_ids": rows, "segment_ids": 0 * ones, "padding_mask": ones}
    logits = np.asarray(bert.head_model.predict(features, batch_size=16, verbose=0)["mlm_logits"])
    masked = logits[np.arange(length), np.arange(1, length + 1)].astype(np.float64)  # (length, V)
    truth = np.array(ids[1:-1])
    log_likelihood = masked[np.arange(length), truth] - np.log(np.exp(masked).sum(axis=1))
    assert int((masked.argmax(axis=1) == truth).sum()) == 101
    assert np.exp(-log_likelihood.mean()) == pytest.approx(1.905, abs=1e-3)
