"""`embed_cooccurrence`: new token embeddings from which pieces stand near one another."""

import numpy as np

from keras_bert.errors import UsageError

_SCALE = 2.5  # root mean square of the vectors, in units of the initializer range
_SMOOTHING = 0.75  # of how frequent contexts are; rare ones would count too much
_MOST_CONTEXTS, _MOST_CELLS = 8_192, 2**28  # a table of 1 GiB at most
_OVERSAMPLED, _ROUNDS = 40, 4
_PAIRS_AT_ONCE = 2**23


def embed_cooccurrence(encoder, batches, special_ids, *, window=5, most_pieces=20_000_000) -> int:
    """Gives new token embeddings the meaning that counting finds, before training begins.

    Pieces in the same company mean similar things, and masked LM learns that slowly: after 4 million pieces
    its embeddings hardly tell praise from blame. Counting the same pieces takes a minute at most:

        pmi[piece, context] = log p(piece, context) - log p(piece) p(context)^0.75 / Z      within the window
        max(pmi, 0) ~ U S V'                     the D largest singular values, by a random projection
        embedding = U sqrt(S), scaled            the first column is the one that matters least

    A pair of pieces d apart counts 1 / d. Special pieces and those that do not occur keep their random
    vectors. All of it is only where training begins. `attend_locally`, which takes the first columns, comes
    after it.

    Args:
        encoder: the functional model of `bert_encoder`, with new weights; they are changed in place.
        batches: iterable of int arrays (N, T). Rows of token ids; read until `most_pieces` were seen.
        special_ids: sequence of int. Ids that are no text, padding among them.
        window: int. Farthest distance of a pair.
        most_pieces: int. So many, of 30,000 kinds and 768 columns, take a minute and 3 GB on two cores.
    Returns:
        int: how many pieces of the vocabulary were given a vector.
    Raises:
        UsageError: factorised embeddings, whose width is not that of the encoder.
    Reference: Levy and Goldberg 2014, https://papers.nips.cc/paper/5477; Levy et al. 2015,
    https://aclanthology.org/Q15-1016; Halko et al. 2011, https://arxiv.org/abs/0909.4061. What it brings is
    measured in BUILD_NOTES.md, 2026-11-26.
    """
    embeddings = encoder.get_layer("embeddings")
    if embeddings.embedding_projection is not None:
        raise UsageError(
            "Embeddings of this shape cannot begin from counts", where="embed_cooccurrence",
            expected="embeddings that are not factorised",
        )  # fmt: skip
    table = embeddings.token_embedding.embeddings
    size, width = table.shape
    batches = _first(batches, most_pieces)
    frequency = sum((np.bincount(rows.ravel(), minlength=size) for rows in batches), np.zeros(size, np.int64))
    frequency[list(special_ids)] = 0
    vectors = _singular_vectors(_positive_pmi(_counts(batches, frequency, window)), width)
    lengths = np.linalg.norm(vectors, axis=1)
    known = (frequency > 0) & (lengths > 1e-6 * lengths.max())
    if not known.any():
        return 0
    vectors *= _SCALE * embeddings.initializer_range / np.sqrt(np.mean(vectors[known] ** 2))
    table.assign(np.where(known[:, None], vectors[:, ::-1], np.asarray(table)))
    return int(known.sum())


def _first(batches, most_pieces) -> list[np.ndarray]:
    """The batches up to so many pieces."""
    kept, pieces = [], 0
    for rows in batches:
        kept.append(np.asarray(rows))
        pieces += kept[-1].size
        if pieces >= most_pieces:
            break
    return kept


def _counts(batches, frequency, window):
    """How often which piece stands near which context: float32 (V, contexts)."""
    size = len(frequency)
    contexts = np.argsort(-frequency, kind="stable")[: min(_MOST_CONTEXTS, _MOST_CELLS // size)]
    contexts = contexts[frequency[contexts] > 0]
    column = np.full(size, -1)
    column[contexts] = np.arange(len(contexts))
    counts = np.zeros((size, len(contexts)), np.float32)
    for rows in batches:
        for start in range(0, len(rows), max(1, _PAIRS_AT_ONCE // rows.shape[1])):
            part = rows[start : start + max(1, _PAIRS_AT_ONCE // rows.shape[1])]
            for distance in range(1, min(window, part.shape[1] - 1) + 1):
                left, right = part[:, :-distance], part[:, distance:]
                for piece, context in ((left, right), (right, left)):
                    is_pair = (frequency[piece] > 0) & (column[context] >= 0)
                    cells = piece[is_pair].astype(np.int64) * len(contexts) + column[context[is_pair]]
                    cells, times = np.unique(cells, return_counts=True)
                    counts.reshape(-1)[cells] += (times / distance).astype(np.float32)
    return counts


def _positive_pmi(counts):
    """The counts in place as their positive pointwise mutual information."""
    of_piece, of_context = counts.sum(1, dtype=np.float64), counts.sum(0, dtype=np.float64) ** _SMOOTHING
    with np.errstate(divide="ignore"):
        np.log(counts, out=counts)
        counts -= np.log(np.maximum(of_piece, 1e-30)).astype(np.float32)[:, None]
        counts -= np.log(np.maximum(of_context / max(of_context.sum(), 1e-30), 1e-30)).astype(np.float32)
    return np.maximum(counts, 0, out=counts)


def _singular_vectors(matrix, width):
    """U sqrt(S) of the largest singular values: float64 (V, width), zeros beyond the rank."""
    rank = min(width + _OVERSAMPLED, *matrix.shape)
    guess = np.random.default_rng(0).normal(size=(matrix.shape[1], rank)).astype(np.float32)
    basis, _ = np.linalg.qr(matrix @ guess)
    for _ in range(_ROUNDS - 1):
        basis, _ = np.linalg.qr(matrix @ (matrix.T @ basis))
    left, values, _ = np.linalg.svd(basis.T @ matrix, full_matrices=False)
    vectors = (basis @ left)[:, :width].astype(np.float64) * np.sqrt(values[:width])
    return np.pad(vectors, [(0, 0), (0, width - vectors.shape[1])])
