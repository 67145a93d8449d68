"""Pretraining on one GPU with Keras' JAX backend: sequences/s and the share of the chip's bf16 rate.

    python tests/benchmarks/gpu.py [--size base large] [--length 128 512] [--attention_dropout 0.1 0]

The whole step of `model.fit`: both heads, losses, metrics, clipping by the global norm, AdamW, in
mixed_bfloat16; rows without padding, 15 % of the pieces predicted. Needs jax and keras, no TensorFlow.
Every combination of the options is a line; floating-point operations are those of `reports/throughput.py`.
Before it times, it compares the logits with those of float32.
"""

import argparse
import itertools
import json
import os
import statistics
import time
import warnings

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import keras
import numpy as np

from keras_bert import heads
from keras_bert.config import BertConfig
from keras_bert.encoder import bert_encoder, packed_encoder
from keras_bert.reports.throughput import flops_per_example
from keras_bert.training.losses import SparseCrossentropy
from keras_bert.training.model import BertModel
from keras_bert.training.optimizer import AdamW

PEAK = 790  # TFLOP/s: a bf16 product of two 8192 x 8192 matrices of random numbers, measured on an H200


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", nargs="+", default=["large", "base"], help="presets of BertConfig")
    parser.add_argument("--length", nargs="+", type=int, default=[128, 512])
    parser.add_argument("--attention_dropout", nargs="+", type=float, default=[0.1, 0.0])
    parser.add_argument("--packed", nargs="+", type=int, default=[0], help="examples a row; 0: not packed")
    parser.add_argument("--rematerialize", nargs="+", type=int, default=[0], help="1: blocks computed twice")
    parser.add_argument("--pieces", nargs="+", type=int, default=[32768], help="pieces of a batch")
    parser.add_argument("--steps", type=int, default=20, help="of one round")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--peak", type=float, default=PEAK, help="TFLOP/s")
    given = parser.parse_args()
    agrees()
    options = (given.size, given.length, given.attention_dropout, given.packed, given.pieces)
    for size, length, dropout, packed, pieces, again in itertools.product(*options, given.rematerialize):
        config = BertConfig.preset(size, attention_dropout=dropout)
        rows = pieces // length
        seconds = sorted(round_seconds(config, length, rows, packed, again, given))
        step = statistics.median(seconds)
        flops = rows * flops_per_example(config, length, slots_of(length))
        print(json.dumps({
            "size": size, "length": length, "rows": rows, "packed": packed, "attention_dropout": dropout,
            "rematerialize": again,
            "ms": round(1000 * step, 1), "of": [round(1000 * s, 1) for s in seconds],
            "sequences_per_second": round(rows * max(packed, 1) / step, 1),
            "tflop_per_second": round(flops / step / 1e12, 1),
            "share_of_peak": round(flops / step / 1e12 / given.peak, 3),
            "memory_gb": round((jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0) / 1e9, 1),
            "chip": jax.devices()[0].device_kind,
        }), flush=True)  # fmt: skip


def agrees():
    """In bfloat16 the logits of two layers are those of float32, but for its rounding."""
    config = BertConfig.preset("base", num_layers=2)
    data, _, _ = batch(config, 128, 8, 0)
    data["padding_mask"][:, 100:] = 0
    logits, weights = [], None
    for policy, precision in (("float32", "highest"), ("mixed_bfloat16", "default")):
        keras.config.set_dtype_policy(policy)
        with jax.default_matmul_precision(precision):
            model = compiled(config, packed=0)
            weights = weights or [np.random.default_rng(i).normal(scale=0.03, size=w.shape)
                                  for i, w in enumerate(model.weights)]  # fmt: skip
            model.set_weights(weights)
            logits.append(np.asarray(model(data)["mlm_logits"], "float64"))
    error = np.linalg.norm(logits[1] - logits[0]) / np.linalg.norm(logits[0])
    print(f"bfloat16 and float32 differ by {error:.1e} of the logits' norm", flush=True)
    if not error < 0.02:
        raise ValueError("bfloat16 and float32 disagree")


def round_seconds(config, length, rows, packed, again, given):
    """Seconds a step of each round, an epoch of `fit` each; the first one, which compiles, is left out."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_bfloat16")
    model, data, timer = compiled(config, packed, again), batch(config, length, rows, packed), Rounds()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*shuffle=True.*")  # of a generator, whatever is passed
        model.fit(
            (data for _ in range(given.steps * (given.rounds + 1))), epochs=given.rounds + 1,
            steps_per_epoch=given.steps, verbose=0, callbacks=[timer],
        )  # fmt: skip
    return [seconds / given.steps for seconds in timer.seconds[1:]]


class Rounds(keras.callbacks.Callback):
    """Seconds of every epoch, until its loss is there. A callback of batches would wait for each."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        if not np.isfinite(logs["loss"]):
            raise ValueError(f"The loss is {logs['loss']}")
        self.seconds.append(time.perf_counter() - self.started)


def compiled(config, packed, again=False):
    encoder = bert_encoder(config)
    model = heads.pretraining(packed_encoder(encoder) if packed else encoder, config, mask_positions=True)
    model = BertModel(model.input, model.output).with_defaults(
        loss=lambda: {name: SparseCrossentropy("mean_with_sample_weight") for name in model.output},
        weighted_metrics=lambda: {
            name: [keras.metrics.SparseCategoricalAccuracy(name="accuracy")] for name in model.output
        },
    )
    model.compile(AdamW(1e-4), jit_compile=True, rematerialize=bool(again))
    return model


def slots_of(length):
    return round(0.15 * length)


def batch(config, length, rows, packed):
    """Random pieces, every one of them real: (x, y, sample weights)."""
    random, shape = np.random.default_rng(0), (rows, length)
    places = np.argsort(random.random(shape), axis=1)[:, : slots_of(length)]
    x = {
        "token_ids": random.integers(config.vocabulary_size, size=shape),
        "segment_ids": np.repeat([np.arange(length) * 2 // length], rows, 0),
        "mask_positions": np.sort(places, axis=1),
    }
    if packed:
        one = length // packed
        x["position_ids"] = np.repeat([np.arange(length) % one], rows, 0)
        x["example_ids"] = np.repeat([1 + np.arange(length) // one], rows, 0)
        x["cls_positions"] = np.repeat([np.arange(packed) * one], rows, 0)
    else:
        x["padding_mask"] = np.ones(shape)
    y = {
        "mlm_logits": random.integers(config.vocabulary_size, size=places.shape),
        "nsp_logits": random.integers(2, size=(rows, packed) if packed else rows),
    }
    weights = {name: np.ones(target.shape, "float32") for name, target in y.items()}
    return {n: v.astype("int32") for n, v in x.items()}, {n: v.astype("int32") for n, v in y.items()}, weights


if __name__ == "__main__":
    main()
