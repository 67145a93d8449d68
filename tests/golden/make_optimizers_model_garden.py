"""Makes optimizers_model_garden.npz: LAMB and learning rates of tf-models-official.

Run in an environment with tf-models-official (2.15; not a dependency of this project):

    python make_optimizers_model_garden.py

LAMB in float64, betas 0.9 and 0.999, epsilon 1e-6, decay 0.01 on all but biases and layer norms, which are
not adapted either, no clipping. Query, key and value are three variables there; the file has them side by
side, as we do. It holds

    paths                                            our names of the variables
    learning_rates (STEPS,)
    gradient/<path> (STEPS, ...)
    before/<path>, first/<path>, after/<path>        the weights before, after 1 and after STEPS steps
    rate_steps (N,)                                  steps of the schedules below, PEAK, TOTAL and WARMUP
    rate/polynomial, rate/square_root, rate/cosine   to END by power 1 and 0.5, and by half a cosine
"""

import pathlib

import numpy as np
import tensorflow as tf
from official.modeling.optimization import lamb, lr_schedule

OUTPUT = pathlib.Path(__file__).with_name("optimizers_model_garden.npz")
STEPS = 20
PEAK, TOTAL, WARMUP, END = 2e-3, 2000, 200, 1e-4
SHAPES = {
    "embeddings/token_embedding/embeddings": (7, 4),
    "embeddings/layer_norm/gamma": (4,),
    "block_0/attention/query_key_value/kernel": (4, 12),
    "block_0/attention/query_key_value/bias": (12,),
    "block_0/attention/output/kernel": (4, 4),
    "block_0/attention_layer_norm/beta": (4,),
    "pooler/kernel": (4, 4),  # begins with zeros
    "masked_lm/output_bias": (7,),
}
FUSED = "query_key_value"


def random_arrays(rng):
    """Weights and gradients by path; query, key and value differ in scale, so that their ratios do."""
    weights, gradients = {}, {}
    for path, shape in SHAPES.items():
        scale = np.repeat([1.0, 4.0, 0.2], 4) if FUSED in path else 1.0
        weights[path] = rng.standard_normal(shape) * scale * (path != "pooler/kernel")
        gradients[path] = rng.standard_normal((STEPS, *shape)) * 0.1
    return weights, gradients


def train(weights, gradients, rates):
    """Weights by path after every step."""
    parts = {
        path: [tf.Variable(part, name=path) for part in np.split(weight, 3 if FUSED in path else 1, axis=-1)]
        for path, weight in weights.items()
    }
    not_decayed = ["layer_norm", "bias"]
    optimizer = lamb.LAMB(1.0, weight_decay_rate=0.01, epsilon=1e-6, exclude_from_weight_decay=not_decayed)
    history = []
    for step, rate in enumerate(rates):
        optimizer.learning_rate = rate
        optimizer.apply_gradients(
            pair
            for path, variables in parts.items()
            for pair in zip(np.split(gradients[path][step], len(variables), axis=-1), variables, strict=True)
        )
        history.append({path: np.concatenate([v.numpy() for v in parts[path]], axis=-1) for path in parts})
    return history


def schedules():
    """The decays by name, each with a linear warm-up from 0 before it."""
    polynomial = {"polynomial": 1.0, "square_root": 0.5}
    decays = {
        name: lr_schedule.PolynomialDecayWithOffset(
            offset=WARMUP,
            initial_learning_rate=PEAK,
            decay_steps=TOTAL - WARMUP,
            end_learning_rate=END,
            power=power,
        )
        for name, power in polynomial.items()
    }
    decays["cosine"] = lr_schedule.CosineDecayWithOffset(
        offset=WARMUP, initial_learning_rate=PEAK, decay_steps=TOTAL - WARMUP, alpha=END / PEAK
    )
    return {name: lr_schedule.LinearWarmup(decay, WARMUP, 0.0) for name, decay in decays.items()}


def main():
    weights, gradients = random_arrays(np.random.default_rng(0))
    rates = 0.05 * np.sqrt(1 - np.arange(STEPS) / STEPS)
    history = train(weights, gradients, rates)
    steps = np.unique(
        [*range(0, TOTAL + 1, 37), 1, WARMUP - 1, WARMUP, WARMUP + 1, TOTAL - 1, TOTAL, 2 * TOTAL]
    )
    arrays = {"paths": np.array(list(SHAPES)), "learning_rates": rates, "rate_steps": steps}
    for name, schedule in schedules().items():
        arrays[f"rate/{name}"] = np.array([float(schedule(int(step))) for step in steps])
    for path in SHAPES:
        arrays[f"gradient/{path}"] = gradients[path]
        arrays[f"before/{path}"] = weights[path]
        arrays[f"first/{path}"] = history[0][path]
        arrays[f"after/{path}"] = history[-1][path]
    np.savez_compressed(OUTPUT, **arrays)
    print(OUTPUT.name, OUTPUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
