"""Pretraining: masked pieces and next sentence, learnt jointly from records."""

import keras

from keras_bert import features, heads
from keras_bert.corpus.masking import Masker
from keras_bert.corpus.reading import PretrainingRecords
from keras_bert.corpus.source import PretrainingData
from keras_bert.encoder import packed_encoder
from keras_bert.errors import UsageError
from keras_bert.tasks.base import Task
from keras_bert.training.losses import SparseCrossentropy
from keras_bert.training.model import BertModel

PACKED_FEATURES = ("token_ids", "segment_ids", "position_ids", "example_ids")
MLM, NSP = "mlm_logits", "nsp_logits"
_ARCHITECTURES = {
    (True, True): "BertForPreTraining",
    (True, False): "BertForMaskedLM",
    (False, True): "BertForNextSentencePrediction",
}


class Pretraining(Task):
    """BERT's two objectives; the masked pieces are predicted with the table of token embeddings (tied).

        loss = sum of mask_weights * crossentropy / sum of mask_weights        masked pieces
             + mean of crossentropy over the pairs                             next sentence

    Its data are records (`PretrainingRecords`), not rows of text.

    Args:
        max_length: int. Longest sequence of pieces, special tokens included, of a text to be answered.
        masked_lm, next_sentence: bool. Which of the two are learnt.
        packed: bool. The rows hold several examples each, see `corpus.row_packing`. Not saved: it is a way of
            training.
    Raises:
        UsageError: neither of the two.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 3.1.
    """

    name = "pretraining"
    optional_columns = ("text_pair",)
    learns_from_rows = False
    architecture = "BertForPreTraining"
    main_score = "mlm_accuracy"

    def __init__(self, max_length: int = 128, masked_lm=True, next_sentence=True, packed=False):
        super().__init__(max_length)
        if not (masked_lm or next_sentence):
            raise UsageError("There is nothing to learn", expected="masked_lm, next_sentence, or both")
        self.masked_lm, self.next_sentence, self.packed = masked_lm, next_sentence, packed
        self.architecture = _ARCHITECTURES[masked_lm, next_sentence]
        self.main_score = "mlm_accuracy" if masked_lm else "nsp_accuracy"

    def settings(self):
        return {**super().settings(), "masked_lm": self.masked_lm, "next_sentence": self.next_sentence}

    def head(self, encoder, config):
        if self.packed:
            encoder = packed_encoder(encoder, pooled=self.next_sentence)
        if self.masked_lm and self.next_sentence:
            model = heads.pretraining(encoder, config, mask_positions=True)
        elif self.masked_lm:
            model = heads.masked_lm(encoder, config, mask_positions=True)
        else:
            model = heads.next_sentence(encoder, config)
        outputs = [MLM] * self.masked_lm + [NSP] * self.next_sentence
        # Of several outputs Keras puts each one's name before the metric's; a single one has the same name.
        metric = "accuracy" if len(outputs) > 1 else self.main_score
        return BertModel(model.input, model.output, name=self.name).with_defaults(
            loss=lambda: {name: SparseCrossentropy("mean_with_sample_weight") for name in outputs},
            weighted_metrics=lambda: {
                name: [keras.metrics.SparseCategoricalAccuracy(name=metric)] for name in outputs
            },
        )

    def batch(self, batch: dict):
        """A batch of records as `fit` takes it: (x, y, sample weights), the latter two by output."""
        names = [*(PACKED_FEATURES if self.packed else features.ENCODER_FEATURES)]
        names += ["mask_positions"] * self.masked_lm + ["cls_positions"] * (
            self.packed and self.next_sentence
        )
        x = {name: batch[name] for name in names}
        if keras.backend.backend() == "tensorflow":  # whose training step takes it out again
            x["record_indices"] = batch["record_indices"]
        y, weights = {}, {}
        if self.masked_lm:
            y[MLM], weights[MLM] = batch["mask_ids"], batch["mask_weights"]  # (B, M)
        if self.next_sentence:
            label = batch["next_sentence_label"]  # (B,) or (B, P); below 0 where there is no pair
            y[NSP] = keras.ops.maximum(label, 0)
            weights[NSP] = batch["example_weights"] if self.packed else keras.ops.cast(label >= 0, "float32")
        return x, y, weights

    def dataset(self, source, tokenizer, batch_size, *, training=False, seed=0, **options):
        """Batches of records.

        Args:
            source: path of a folder that `keras-bert corpus` built, or of TFRecord files; or
                `PretrainingRecords`, or `PretrainingData`.
            **options: those of `PretrainingData`. Dynamic masks are laid as the corpus' manifest says.
        """
        data = source
        if not isinstance(data, PretrainingData):
            records = source if isinstance(source, PretrainingRecords) else PretrainingRecords(source)
            if records.kind == "dynamic":
                options.setdefault("masker", Masker(records.vocabulary, records.masks, seed))
            options = {"shuffle": training, "drop_remainder": training, **options}
            data = PretrainingData(records, batch_size, seed=seed, **options)
        return data.dataset(self.batch, num_epochs=1)

    def features(self, columns, tokenizer):
        return tokenizer.features(columns["text"], columns.get("text_pair"), max_length=self.max_length)

    def outputs(self, model, features):
        if self.packed:
            raise UsageError(
                "A model of packed rows answers no texts", where="pretraining",
                remedy="save it: the folder that is loaded again reads texts",
            )  # fmt: skip
        if self.masked_lm:  # no slot is asked for
            features = {**features, "mask_positions": features["token_ids"][:, :0]}
        return super().outputs(model, features)

    def answer(self, outputs, features):
        import tensorflow as tf

        if not self.next_sentence:
            raise UsageError(
                "A model of masked pieces alone has no answer to a text", where="pretraining",
                remedy="fine-tune it for a task: keras-bert finetune --model_dir=...",
            )  # fmt: skip
        return {"score": tf.nn.softmax(outputs[NSP], axis=-1)[:, 0]}  # (B,), that B really follows A

    def rows(self, answer):
        return [{"score": float(score)} for score in answer["score"]]
