"""Tagging: spans of a text, such as names, slots or words, each with a type."""

import keras
import tensorflow as tf

from keras_bert.data.spans import checked_spans
from keras_bert.errors import DataError
from keras_bert.evaluation.entities import entity_scores, in_words, joined_neighbours
from keras_bert.layers import Classifier, Crf
from keras_bert.tasks import tagging_graph
from keras_bert.tasks.base import Task, number_in, weight_of
from keras_bert.tasks.tags import tags_of
from keras_bert.tasks.windows import (
    beyond,
    joined_features,
    joined_outputs,
    over_windows,
    seen_best,
    window_features,
)
from keras_bert.training.crf_loss import CrfLoss
from keras_bert.training.losses import SparseCrossentropy
from keras_bert.training.model import BertModel

UNITS = ("words", "pieces")


class Tagging(Task):
    """Spans of a text, found by one tag for every unit of it.

    A unit is a word between white space (`"words"`, as in CoNLL files) or whatever the tokeniser makes one
    word of: an ideograph, a word, a punctuation mark (`"pieces"`, for spans of characters). Its first piece
    has the tag; the loss and the answers look at no other. A row's `spans` are a list of {start, end, label},
    in characters of the text, the end exclusive.

    Args:
        labels: sequence of str. Entity types; or the tags in the order of the logits, see `tags.tags_of`.
        max_length: int. Longest sequence of pieces, special tokens included; what is beyond has no tag,
            unless there is a `stride`.
        scheme: str. "BIO", "BIOES", "IO", or "tags" where every unit has a tag of its own.
        units: str. "words" or "pieces".
        crf: bool. A linear-chain CRF over the units chooses the best sequence of tags.
        crf_rate_factor: float. Its own weights learn so many times as fast as the rest.
        stride: int or None. A longer text is read in windows, so many pieces from one to the next; a unit
            is learnt and answered in the window that shows most of the text around it. None: truncated.
    Raises:
        DataError: labels, scheme or units that cannot be.
    """

    name = "tagging"
    label_columns = ("spans", "sample_weight")
    architecture = "BertForTokenClassification"
    main_score = "f1"
    row_kind = "spans"
    targets_by_token = True

    def __init__(
        self, labels, max_length: int = 128, scheme="BIO", units="pieces", crf=False, crf_rate_factor=100.0,
        stride=None,
    ):  # fmt: skip
        super().__init__(max_length)
        self.stride = None if stride is None else number_in(stride, "stride", 1)
        self.reads_windows = stride is not None
        self.tags = tags_of(labels, scheme)
        if units not in UNITS:
            raise DataError(f"There are no units {units!r}", where="units", expected=" or ".join(UNITS))
        self.scheme, self.units, self.crf = scheme, units, bool(crf)
        self.crf_rate_factor = float(crf_rate_factor)
        self._continues = None

    @property
    def labels(self):
        return self.tags.names

    @property
    def own_layers(self):
        return ("crf",) if self.crf else ()

    def settings(self):
        own = {"labels": list(self.labels), "scheme": self.scheme, "units": self.units, "crf": self.crf}
        if self.crf:
            own["crf_rate_factor"] = self.crf_rate_factor  # what is stored is divided by it
        if self.stride is not None:
            own["stride"] = self.stride
        return {**super().settings(), **own}

    @classmethod
    def settings_from_rows(cls, rows):
        types, in_words = set(), []
        for where, row in rows:
            types.update(label for _, _, label in checked_spans(row.get("spans"), row["text"], where))
            in_words.append(row.get("units") == "words")
        if not types:
            raise DataError(
                "No row has a span", where="spans", expected="spans to learn from in the training data"
            )
        return {"labels": sorted(types), "units": "words" if all(in_words) else "pieces"}

    @classmethod
    def settings_from_labels(cls, labels):
        # Tags that a checkpoint names; without an outside each unit has one by itself.
        has_outside = tags_of(labels).names == tuple(labels)
        return {"labels": labels, **({} if has_outside else {"scheme": "tags"})}

    def prepare(self, tokenizer):
        self._continues = [piece.startswith("##") for piece in tokenizer.vocabulary.pieces]

    def check_row(self, row, where):
        spans = checked_spans(row.get("spans"), row["text"], where)
        for _, _, label in spans:
            if label not in self.tags.types:
                raise DataError(
                    f"Unknown label {label!r}", where=where, expected=f"of {', '.join(self.tags.types[:20])}",
                    remedy="correct the label, or name all types with --labels=a,b (Python: labels=[...])",
                )  # fmt: skip
        starts, ends, labels = zip(*spans, strict=True) if spans else ((), (), ())
        return {
            **row,
            "spans": spans,
            "span_starts": starts,
            "span_ends": ends,
            "span_types": [self.tags.types.index(label) for label in labels],
            "sample_weight": weight_of(row, where),
        }

    def features(self, columns, tokenizer):
        text = columns["text"]
        if self.stride is None:
            features = tokenizer.features_with_offsets(text, max_length=self.max_length)
        else:
            features = window_features(text, None, tokenizer, self.max_length, self.stride)
        return {**features, "context": text}

    def target_columns(self):
        spans = dict.fromkeys(("span_starts", "span_ends", "span_types"), ("int32", (None,)))
        return {**spans, "sample_weight": ("float32", ())}

    def targets(self, row, features):
        chosen, weight = self._chosen(features), row["sample_weight"][:, None]
        parts = features
        if chosen is not None:
            features = joined_features(features, chosen)
        units = self._unit_starts(features)
        spans = [row[name].to_tensor(-1) for name in ("span_starts", "span_ends", "span_types")]
        tags = tagging_graph.tags_of_spans(self.tags, features, units, *spans)  # (B, T)
        weights = keras.ops.cast(units * tf.cast(tags >= 0, tf.int32), "float32") * weight
        tags = tf.maximum(tags, 0)
        if chosen is None:
            return tags, weights
        mask = features["padding_mask"]
        tags, weights = over_windows(tags, mask, chosen), over_windows(weights, mask, chosen)  # (W, T) each
        if self.crf:  # a window's chain is a part of its text's, see `CrfLoss`
            tags += len(self.labels) * beyond(parts)[:, None] * tf.cast(weights > 0, tf.int32)
        return tags, weights

    def head(self, encoder, config):
        classifier = Classifier(len(self.labels), config.head_dropout, name="classifier")
        outputs = classifier(encoder.output["sequence_output"])  # (B, T, C)
        if not self.crf:
            loss = SparseCrossentropy
            metrics = [keras.metrics.SparseCategoricalAccuracy]
        else:
            outputs = Crf(len(self.labels), self.tags.allowed(), self.crf_rate_factor, name="crf")(outputs)
            loss, metrics = CrfLoss, []
        return BertModel(encoder.input, outputs, name=self.name).with_defaults(
            loss=lambda: loss("mean_with_sample_weight"),
            weighted_metrics=lambda: [metric(name="tag_accuracy") for metric in metrics],
        )

    def logits(self, outputs, features):
        return {"logits": outputs[:, : keras.ops.shape(features["token_ids"])[1]]}

    def answer(self, outputs, features):
        chosen = self._chosen(features)
        if chosen is not None:
            outputs = joined_outputs(outputs, features, chosen)
            features = joined_features(features, chosen)
        units = self._unit_starts(features)
        tags, probabilities = tagging_graph.decoded(outputs, units, len(self.labels), self.crf)
        if "starts" not in features:  # ids alone: where the text stood is not known
            return {"tags": tags, "scores": probabilities}  # (B, T), (B, T, C)
        return tagging_graph.spans_of_tags(self.tags, tags, probabilities, units, features)

    def completed(self, answer, features):
        tags, probabilities = answer["tags"][:, :, None], answer["scores"]  # (W, T, 1), (W, T, C)
        chosen = self._chosen(features)
        if chosen is not None:
            tags, probabilities = (joined_outputs(x, features, chosen) for x in (tags, probabilities))
            features = joined_features(features, chosen)
        units = self._unit_starts(features)
        return tagging_graph.spans_of_tags(self.tags, tags[:, :, 0], probabilities, units, features)

    def rows(self, answer):
        if "count" not in answer:  # of ids alone
            return [{"tags": [self.labels[tag] for tag in row]} for row in answer["tags"]]
        names = ("start", "end", "label", "score", "text")
        rows = []
        for i, count in enumerate(answer["count"]):
            columns = [answer[name][i][:count].tolist() for name in names]
            spans = [dict(zip(names, span, strict=True)) for span in zip(*columns, strict=True)]
            for span in spans:
                span.update({name: span[name].decode("utf-8") for name in ("label", "text")})
            rows.append({"spans": spans})
        return rows

    def badness(self, gold, answer):
        return (
            1.0 - entity_scores(*self._entities([gold], [answer]))["f1"]
            if gold["spans"]
            else float(bool(answer["spans"]))
        )

    def expected(self, gold):
        return [
            {"start": start, "end": end, "label": label, "text": gold["text"][start:end]}
            for start, end, label in gold["spans"]
        ]

    def scores(self, gold, answers):
        return entity_scores(*self._entities(gold, answers))

    def _entities(self, gold, answers):
        """(label, start, end) of every row's spans, twice."""
        found = [[(s["label"], s["start"], s["end"]) for s in row["spans"]] for row in answers]
        actual = [[(label, start, end) for start, end, label in row["spans"]] for row in gold]
        if self.scheme == "tags":  # in which no span has several units, though a file's may
            alike = in_words if self.units == "words" else joined_neighbours
            texts = [row["text"] for row in gold]
            actual, found = (list(map(alike, spans, texts)) for spans in (actual, found))
        return actual, found

    def _chosen(self, features):
        """Of windows which pieces each is asked about, bool (W, T); None of whole texts."""
        return seen_best(features, self.max_length, self.stride) if "row" in features else None

    def _unit_starts(self, features):
        """int32 (B, T): 1 for the first piece of every unit."""
        continues = None if self.units == "words" and "starts" in features else self._continues
        return tagging_graph.unit_starts(features, continues)
