"""Question answering: the stretch of a context that answers a question, or that there is none."""

from keras import ops

from keras_bert.data.squad import checked_answers
from keras_bert.errors import UsageError
from keras_bert.evaluation.answers import best_null_threshold, cmrc_scores, squad_scores
from keras_bert.heads import question_answering
from keras_bert.tasks import answer_spans
from keras_bert.tasks.base import Task, number_in
from keras_bert.tasks.windows import window_features
from keras_bert.training.losses import SparseCrossentropy
from keras_bert.training.model import BertModel

START, END = "start_logits", "end_logits"


class QuestionAnswering(Task):
    """An answer cut out of the context, which is read in overlapping windows.

    A row's `answers` are a list of {text, start}, in characters of the context; an empty list says that the
    context does not answer the question. Training learns the first answer.

    Args:
        max_length: int. Length of a window, question and special tokens included.
        stride: int or None. Pieces from the start of one window to the start of the next; windows that do
            not overlap lose the answers between them. None: 128, or half of `max_length` if that is less.
        max_answer_length: int. Longest answer, in pieces.
        num_best: int. How many candidates an answer lists.
        null_threshold: float or None. A question whose `null_score` is above it is answered with "". None:
            every question has an answer. `keras-bert finetune` chooses it on the evaluation file.
        metric: str. "squad", or "cmrc" for Chinese: longest common substring instead of common words.
    """

    name = "question_answering"
    columns = ("question", "context")
    label_columns = ("answers", "id")
    architecture = "BertForQuestionAnswering"
    main_score = "f1"
    row_kind = "answers"
    usual_length = 384
    reads_windows = True
    edge_kind = "question_answerer"
    edge_outputs = (START, END)

    def __init__(
        self, max_length: int = 384, stride=None, max_answer_length=30, num_best=5, null_threshold=None,
        metric="squad",
    ):  # fmt: skip
        super().__init__(max_length)
        self.stride = min(128, max_length // 2) if stride is None else number_in(stride, "stride", 1)
        self.max_answer_length = number_in(max_answer_length, "max_answer_length", 1)
        self.num_best = number_in(num_best, "num_best", 1)
        self.null_threshold = None if null_threshold is None else float(null_threshold)
        if metric not in ("squad", "cmrc"):
            raise UsageError(f"There is no metric {metric!r}", where="metric", expected="squad or cmrc")
        self.metric = metric

    def settings(self):
        names = ("stride", "max_answer_length", "num_best", "null_threshold", "metric")
        return {**super().settings(), **{name: getattr(self, name) for name in names}}

    @classmethod
    def settings_from_rows(cls, rows):
        ideographs = total = unanswered = 0
        for where, row in rows:
            unanswered += not checked_answers(row.get("answers"), row["context"], where)
            if total < 200:
                total += 1
                ideographs += "一" <= row["question"].strip()[:1] <= "鿿"
        # Both always: a model that was taught other questions before brings its own.
        return {
            "null_threshold": 0.0 if unanswered else None,
            "metric": "cmrc" if 2 * ideographs > total else "squad",
        }

    def check_row(self, row, where):
        answers = checked_answers(row.get("answers"), row["context"], where)
        start, end = (-1, -1)
        if answers:
            start = answers[0]["start"]
            end = start + len(answers[0]["text"])
        return {**row, "answers": answers, "answer_start": start, "answer_end": end}

    def features(self, columns, tokenizer):
        features = window_features(
            columns["question"], columns["context"], tokenizer, self.max_length, self.stride
        )
        return {**features, "context": columns["context"]}

    def target_columns(self):
        return {"answer_start": ("int32", ()), "answer_end": ("int32", ())}

    def targets(self, row, features):
        start, end = answer_spans.target_tokens(features, row["answer_start"], row["answer_end"])  # (W,)
        return ({START: start, END: end},)

    def head(self, encoder, config):
        model = question_answering(encoder, config)
        # Half of both, as the published code takes their mean.
        return BertModel(model.input, model.output, name=self.name).with_defaults(
            loss=lambda: {name: SparseCrossentropy() for name in (START, END)},
            loss_weights={START: 0.5, END: 0.5},
            metrics=lambda: {name: [_accuracy()] for name in (START, END)},
        )

    def answer(self, outputs, features):
        if "row" not in features:  # ids alone: one window, whose text is not known
            # Padding has no logits of its own: what stands there would depend on how it was computed.
            real = ops.cast(features["padding_mask"], "float32")
            return {name: outputs[name] * real for name in (START, END)}  # (B, T)
        return answer_spans.best_answers(
            outputs[START], outputs[END], features, self.num_best, self.max_answer_length, self.null_threshold
        )

    def completed(self, answer, features):
        return self.answer(answer, features)

    def rows(self, answer):
        rows = []
        names = ("answer", "start", "end", "score")
        for i, null_score in enumerate(answer["null_score"]):
            best = [
                dict(zip(names, (text.decode("utf-8"), start, end, score), strict=True))
                for text, start, end, score in zip(
                    *(answer[f"best_{name}"][i].tolist() for name in names), strict=True
                )
                if end > start
            ]
            chosen = {name: answer[name][i].item() for name in names[1:]}
            rows.append(
                {
                    "answer": answer["answer"][i].decode("utf-8"),
                    **chosen,
                    "null_score": float(null_score),
                    "n_best": best,
                }
            )
        return rows

    def badness(self, gold, answer):
        return 1.0 - self.scores([gold], [answer])["f1"]

    def scores(self, gold, answers):
        texts = [[answer["text"] for answer in row["answers"]] for row in gold]
        score = cmrc_scores if self.metric == "cmrc" else squad_scores
        return score(texts, [row["answer"] for row in answers])

    def tuned(self, gold, answers):
        texts = [[answer["text"] for answer in row["answers"]] for row in gold]
        if all(texts) or self.null_threshold is None:
            return {}
        best = [row["n_best"][0]["answer"] if row["n_best"] else "" for row in answers]
        nulls = [row["null_score"] for row in answers]
        threshold, _ = best_null_threshold(texts, best, nulls, self.metric)
        return {"null_threshold": float(threshold)}


def _accuracy():
    import keras

    return keras.metrics.SparseCategoricalAccuracy(name="accuracy")
