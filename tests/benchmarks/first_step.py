"""What a training step costs before it runs: the seconds of the first, its operations, and the update alone.

    [PYTHONPATH=OTHER_CHECKOUT] python tests/benchmarks/first_step.py [--layers 12]

A small classifier (128 units, 8 rows, no part of it compiled): seconds of `fit` for one step, milliseconds of
a later step, operations of the traced step. Then `AdamW` for 22 million weights of MiniLM's shapes, in
milliseconds, plain and under XLA. Run it by turns with another checkout's package to compare the two.
"""

import argparse
import dataclasses
import gc

import keras
import numpy as np
import side_by_side
import tensorflow as tf
from tensorflow.python.framework.func_graph import FuncGraph

import keras_bert as kb

WORDS = 3000
KERNELS = [(384, 1152), (384, 384), (384, 1536), (1536, 384)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--layers", type=int, default=12)
    layers = parser.parse_args().layers
    first, later, operations = steps(layers)
    print(f"{layers} layers: first step {first:.2f} s, later {later:.1f} ms, {operations} operations")
    for jit_compile in (False, True):
        print(f"update, {'XLA' if jit_compile else 'plain'}: {update(jit_compile):.1f} ms")


def steps(layers):
    """Seconds of the first step, milliseconds of a later one, and how many operations it has."""
    tokenizer = kb.Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(WORDS))])
    config = dataclasses.replace(kb.BertConfig.preset("tiny", vocabulary_size=WORDS + 5), num_layers=layers)
    bert = kb.Bert.from_config(config, tokenizer, "classification", labels=["a", "b"])
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{i}" for i in rng.integers(0, WORDS, rng.integers(5, 30))) for _ in range(256)]
    rows = [{"text": text, "label": "ab"[i % 2]} for i, text in enumerate(texts)]
    dataset = bert.dataset(rows, batch_size=8, training=True)
    bert.model.compile()
    first = side_by_side.timed(lambda: bert.model.fit(dataset, verbose=0, steps_per_epoch=1), 1)
    graphs = [each for each in gc.get_objects() if isinstance(each, FuncGraph)]
    operations = max(len(graph.get_operations()) for graph in graphs if graph.name == "one_step_on_data")
    epochs = [side_by_side.timed(lambda: bert.model.fit(dataset, verbose=0), 1) for _ in range(3)]
    return first, 1000 * float(np.median(epochs)) / (len(rows) / 8), operations


def update(jit_compile):
    """The median milliseconds of one update."""
    shapes = [(30522, 384), *KERNELS * 6, *[(384,), (1536,)] * 30]
    variables = [
        keras.Variable(np.ones(shape, "float32"), name=f"kernel{i}") for i, shape in enumerate(shapes)
    ]
    gradients = [tf.random.normal(shape) for shape in shapes]
    optimizer = kb.AdamW(2e-5)
    optimizer.build(variables)
    apply = tf.function(
        lambda: optimizer.apply(gradients, variables), jit_compile=jit_compile, autograph=False
    )

    def run():
        apply()
        optimizer.iterations.numpy()  # waits for the update

    run()
    return 1000 * float(np.median([side_by_side.timed(run, 1) for _ in range(15)]))


if __name__ == "__main__":
    main()
