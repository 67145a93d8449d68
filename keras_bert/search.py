"""Semantic search over texts, and answers from a list of questions (FAQ) that know when to decline.

    index = kb.TextIndex(kb.load("all-MiniLM-L6-v2"), ["How do I pay?", "Where is my parcel?"])
    index.search(["my package has not arrived"])[0]       # [{"row": 1, "score": 0.62, "text": ...}, ...]
    index.tune(["can I use a card", "who won the cup"], [0, None])   # chooses `index.threshold`

Time: all-MiniLM-L6-v2, see BUILD_NOTES.
"""

import numpy as np

from keras_bert.errors import DataError


class TextIndex:
    """The embeddings of texts, to be searched by meaning.

    Args:
        bert: `Bert`. Its `embed` makes the vectors, as its pooling says.
        texts: sequence of str.
        batch_size: int.
        threshold: float. What lies further away (a lower cosine) is not found. -1: everything is.
    Raises:
        DataError: there is no text.
    """

    def __init__(self, bert, texts, *, batch_size=32, threshold=-1.0):
        self.texts = list(texts)
        if not self.texts:
            raise DataError("There is no text to search", where="texts", expected="one text or more")
        self.bert, self.batch_size, self.threshold = bert, batch_size, float(threshold)
        self.vectors = self._vectors(self.texts)  # (N, D)

    def search(self, queries, k: int = 5) -> list[list[dict]]:
        """The nearest texts of every query, the nearest first; fewer than `k` where the threshold says so.

        Args:
            queries: str or sequence of str.
            k: int.
        Returns:
            list of lists of {"row": from 0, "score": cosine, "text"}.
        """
        queries = [queries] if isinstance(queries, str) else list(queries)
        scores = self._vectors(queries) @ self.vectors.T  # (Q, N)
        k = min(k, len(self.texts))
        found = []
        for row in scores:
            near = np.argpartition(-row, k - 1)[:k]
            near = near[np.argsort(-row[near], kind="stable")]
            found.append(
                [
                    {"row": int(i), "score": float(row[i]), "text": self.texts[i]}
                    for i in near
                    if row[i] >= self.threshold
                ]
            )
        return found

    def tune(self, queries, rows) -> dict:
        """Chooses the threshold under which most of these queries are answered, or declined, rightly.

        Args:
            queries: sequence of str.
            rows: sequence of int or None. Each query's text; None where none of the texts answers it.
        Returns:
            {"threshold", "accuracy", "accuracy_without"}: with the threshold, and without any.
        """
        queries, rows = list(queries), list(rows)
        if not queries or len(queries) != len(rows):
            raise DataError(
                f"There are {len(queries)} queries and {len(rows)} rows", where="tune",
                expected="a row, or None, for every query",
            )  # fmt: skip
        scores = self._vectors(queries) @ self.vectors.T
        best, top = scores.argmax(axis=1), scores.max(axis=1)
        right = np.array([row is not None and row == i for row, i in zip(rows, best, strict=True)])
        is_none = np.array([row is None for row in rows])
        # Between two neighbouring scores every threshold does the same: the middle is tried.
        levels = np.unique(top)
        candidates = np.concatenate([[-1.0], (levels[1:] + levels[:-1]) / 2, [levels[-1] + 1e-3]])
        accuracy = [float(np.where(top >= level, right, is_none).mean()) for level in candidates]
        chosen = int(np.argmax(accuracy))
        self.threshold = float(candidates[chosen])
        return {
            "threshold": self.threshold, "accuracy": accuracy[chosen], "accuracy_without": float(right.mean())
        }  # fmt: skip

    def _vectors(self, texts) -> np.ndarray:
        vectors = self.bert.embed(texts, batch_size=self.batch_size)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
