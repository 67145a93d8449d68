"""Similarity: one vector a text, such that like texts have like vectors."""

import numpy as np
from keras import ops

from keras_bert import features as feature_table
from keras_bert.errors import DataError, UsageError
from keras_bert.evaluation.ranking import first_ranks, pearson, retrieval_scores, spearman
from keras_bert.layers import FlattenChoices, TokenPooling, UnflattenChoices
from keras_bert.tasks.base import Task, number_of, weight_of
from keras_bert.training.model import BertModel
from keras_bert.training.similarity_losses import CosineLoss, InBatchNegatives, TripletLoss

OBJECTIVES = {"in_batch_negatives": InBatchNegatives, "cosine": CosineLoss, "triplet": TripletLoss}


class Similarity(Task):
    """Embeddings of texts, learnt from pairs or triplets of them.

    - `"cosine"`: pairs `text`, `text_pair` with a `score`, whose cosine it shall be;
    - `"in_batch_negatives"`: pairs that belong together; every other row's partner is a negative, and a
      `negative` too, where the rows have one;
    - `"triplet"`: `text`, `text_pair` that belongs to it, and a `negative` that does not.

    Args:
        max_length: int. Longest sequence of pieces of one text, special tokens included.
        objective: str. One of these.
        pooling: str. "mean", "cls" or "max", over the tokens.
        normalize: bool. Vectors have the length one.
        score_range: pair of float. Lowest and highest score of the data, which become the cosines 0 and 1.
    """

    name = "similarity"
    optional_columns = ("text_pair",)
    training_columns = ("negative",)
    label_columns = ("score", "sample_weight")
    labels_required = False
    architecture = "BertModel"
    main_score = "spearman"
    edge_kind = "text_embedder"
    edge_outputs = ("embedding",)

    def __init__(
        self,
        max_length: int = 128,
        objective="cosine",
        pooling="mean",
        normalize=True,
        score_range=(0.0, 1.0),
    ):
        super().__init__(max_length)
        for value, known, where in (
            (objective, OBJECTIVES, "objective"), (pooling, ("mean", "cls", "max"), "pooling"),
        ):  # fmt: skip
            if value not in known:
                raise UsageError(f"There is no {value!r}", where=where, expected=f"one of {', '.join(known)}")
        low, high = map(float, score_range)
        if not low < high:
            raise UsageError(f"The range is {low} to {high}", where="score_range", expected="lowest, highest")
        self.objective, self.pooling, self.normalize = objective, pooling, bool(normalize)
        self.score_range = (low, high)
        self.main_score = "spearman" if objective == "cosine" else "mrr"

    @property
    def text_pooling(self):
        return {"mode": self.pooling, "normalize": self.normalize, "max_length": self.max_length}

    def settings(self):
        own = {name: getattr(self, name) for name in ("objective", "pooling", "normalize")}
        return {**super().settings(), **own, "score_range": list(self.score_range)}

    @classmethod
    def settings_from_rows(cls, rows):
        scores, negatives = [], False
        for where, row in rows:
            negatives |= bool(row.get("negative"))
            if row.get("score") is not None:
                scores.append(number_of(row, "score", where))
        if scores:
            # 0 to 1, or to the next whole number that holds them all, as in STS-B's 0 to 5.
            high = 1.0 if max(scores) <= 1 else float(np.ceil(max(scores)))
            return {"objective": "cosine", "score_range": [min(0.0, float(np.floor(min(scores)))), high]}
        return {"objective": "triplet" if negatives else "in_batch_negatives"}

    def check_row(self, row, where):
        needed = ["text_pair", *["negative"] * (self.objective == "triplet")]
        missing = [name for name in needed if not row.get(name)]
        if missing:
            raise DataError(
                f"The {missing[0]!r} is missing", where=where, expected=f"{', '.join(needed)} in every row"
            )
        if row.get("negative") and not isinstance(row["negative"], str):
            raise DataError(f"The negative is {row['negative']!r}", where=where, expected="one text")
        score = number_of(row, "score", where) if self.objective == "cosine" else 1.0
        return {**row, "score": score, "sample_weight": weight_of(row, where)}

    def features(self, columns, tokenizer):
        """Of one column (B, T); of several (B, C, T)."""
        import tensorflow as tf

        texts = [columns[name] for name in ("text", "text_pair", "negative") if name in columns]
        if len(texts) == 1:
            return tokenizer.features(texts[0], max_length=self.max_length)
        batch, count = tf.shape(texts[0])[0], len(texts)
        flat = tokenizer.features(tf.reshape(tf.stack(texts, axis=1), [-1]), max_length=self.max_length)
        return {n: tf.reshape(ids, [batch, count, tf.shape(ids)[1]]) for n, ids in flat.items()}

    def target_columns(self):
        return {"score": ("float32", ()), "sample_weight": ("float32", ())}

    def targets(self, row, features):
        low, high = self.score_range
        return (row["score"] - low) / (high - low), row["sample_weight"]  # (B,), (B,)

    def head(self, encoder, config):
        names = feature_table.ENCODER_FEATURES
        inputs = feature_table.inputs(*names, choices=True)  # (B, C, T)
        flat = {name: FlattenChoices(name=f"flat_{name}")(tensor) for name, tensor in inputs.items()}
        tokens = encoder(flat)["sequence_output"]  # (B*C, T, D)
        pool = TokenPooling(self.pooling, self.normalize, name="embedding")
        vectors = pool(tokens, padding_mask=flat["padding_mask"])  # (B*C, D)
        vectors = UnflattenChoices(vectors=True, name="unflatten")(vectors, inputs["token_ids"])
        return BertModel(inputs, vectors, name=self.name).with_defaults(
            loss=OBJECTIVES[self.objective], metrics=list
        )

    def outputs(self, model, features):
        if len(features["token_ids"].shape) == 2:  # one text a row
            features = {name: ops.expand_dims(features[name], 1) for name in model.input}
        return super().outputs(model, features)  # (B, C, D)

    def logits(self, outputs, features):
        return {"embedding": outputs[:, 0]}  # (B, D)

    def answer(self, outputs, features):
        answer = {"embedding": outputs[:, 0]}  # (B, D)
        if len(features["token_ids"].shape) == 2:
            return answer
        first, second = outputs[:, 0], outputs[:, 1]
        lengths = ops.norm(first, axis=-1) * ops.norm(second, axis=-1)
        score = ops.sum(first * second, -1) / ops.maximum(lengths, 1e-12)
        return {**answer, "pair_embedding": second, "score": score}  # (B, D), (B,)

    def completed(self, answer, features):
        if len(features["token_ids"].shape) == 2:
            return answer
        vectors = answer["embedding"]  # (B*C, D)
        return self.answer(
            ops.reshape(vectors, (-1, features["token_ids"].shape[1], vectors.shape[-1])), features
        )

    def rows(self, answer):
        rows = [{"embedding": vector.tolist()} for vector in answer["embedding"]]
        if "score" in answer:
            for row, pair, score in zip(rows, answer["pair_embedding"], answer["score"], strict=True):
                row.update(pair_embedding=pair.tolist(), score=float(score))
        return rows

    def badness(self, gold, answer):
        low, high = self.score_range
        expected = (gold["score"] - low) / (high - low) if self.objective == "cosine" else 1.0
        return abs(expected - answer["score"])

    def expected(self, gold):
        return gold["score"]

    def scores(self, gold, answers):
        given = np.array([row["score"] for row in answers])
        if self.objective == "cosine":
            expected = np.array([row["score"] for row in gold])
            return {"spearman": spearman(expected, given), "pearson": pearson(expected, given)}
        return retrieval_scores(*self._retrieval(gold, answers))

    def scores_by_query(self, gold, answers):
        return None if self.objective == "cosine" else 1 / first_ranks(*self._retrieval(gold, answers))

    def _retrieval(self, gold, answers):
        """Each text looks for its partners among all second texts: (similarities (Q, N), the partners)."""
        places = {}
        columns = [places.setdefault(row["text_pair"], len(places)) for row in gold]
        partners = np.zeros((len(places), len(answers[0]["embedding"])))
        for column, row in zip(columns, answers, strict=True):
            partners[column] = row["pair_embedding"]
        relevant = {}
        for row, column in zip(gold, columns, strict=True):
            relevant.setdefault(row["text"], set()).add(column)
        queries = {row["text"]: answer["embedding"] for row, answer in zip(gold, answers, strict=True)}
        vectors = np.array(list(queries.values()))
        partners /= np.maximum(np.linalg.norm(partners, axis=1, keepdims=True), 1e-12)
        return vectors @ partners.T, [relevant[text] for text in queries]
