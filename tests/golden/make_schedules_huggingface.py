"""Makes schedules_huggingface.npz: the learning rates of transformers' schedules.

Run in an environment with transformers (5) and torch (neither is a dependency of this project):

    python make_schedules_huggingface.py

The file holds, for the short and the long run of RUNS,

    <run>/run                total steps, steps of the warm-up, steps of the decay where there is one
    <run>/steps (N,)         around every turn, and some between
    <run>/<schedule> (N,)    their rates in float64, PEAK and END as below

Their stable_decay with an end also warms up from that end; the file has zeros for the steps before it.
"""

import pathlib

import numpy as np
import torch
from transformers import optimization

OUTPUT = pathlib.Path(__file__).with_name("schedules_huggingface.npz")
PEAK, END = 1e-3, 1e-5
RUNS = {"short": (1000, 100, 150), "long": (10_000_000, 10_000, 1_000_000)}


def schedules(total, warmup, decay):
    """(name, schedule) of a run; the optimizer of each is only asked for its rate."""

    def optimizer():
        return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)

    yield "linear", optimization.get_linear_schedule_with_warmup(optimizer(), warmup, total)
    yield "cosine", optimization.get_cosine_schedule_with_warmup(optimizer(), warmup, total)
    end = optimization.get_cosine_with_min_lr_schedule_with_warmup(optimizer(), warmup, total, min_lr=END)
    yield "cosine_to_end", end
    for name, power in {"polynomial": 1.0, "square": 2.0, "square_root": 0.5}.items():
        yield (
            name,
            optimization.get_polynomial_decay_schedule_with_warmup(
                optimizer(), warmup, total, lr_end=END, power=power
            ),
        )
    for name, ratio in {"stable_decay": 0.0, "stable_decay_to_end": END / PEAK}.items():
        yield (
            name,
            optimization.get_wsd_schedule(
                optimizer(), warmup, decay, num_training_steps=total, decay_type="1-sqrt", min_lr_ratio=ratio
            ),
        )


def main():
    arrays = {}
    for run, (total, warmup, decay) in RUNS.items():
        turns = (0, warmup, total - decay, total)
        steps = np.array([turn + i for turn in turns for i in (-2, -1, 0, 1, 2)])
        steps = np.unique([*steps[steps >= 0], *np.linspace(0, total, 101).astype(int), 2 * total])
        arrays |= {f"{run}/run": np.array([total, warmup, decay]), f"{run}/steps": steps}
        for name, schedule in schedules(total, warmup, decay):
            rates = PEAK * np.array([schedule.lr_lambdas[0](int(step)) for step in steps])
            if name == "stable_decay_to_end":
                rates[steps < warmup] = 0
            arrays[f"{run}/{name}"] = rates
    np.savez_compressed(OUTPUT, **arrays)
    print(OUTPUT.name, OUTPUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
