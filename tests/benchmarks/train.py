"""A pretraining step on a CPU beside tf-models-official, keras-hub and Hugging Face/torch.

    python tests/benchmarks/train.py --work=FOLDER [--tf_models_python=ENV/bin/python]
        [--keras_hub_python=...] [--torch_python=...] [--sizes base mini] [--rounds 7] [--seconds 6] [--notes]

Both heads, losses, metrics, clipping, AdamW: the whole step of `model.fit`, in float32 and in
mixed_bfloat16; rows of 128 pieces without padding, 20 of them predicted, 8 rows a batch of base and 32 of
mini. All sides begin with the same weights and see the same batch; their losses without dropout are compared
before anything is timed. Environments of the peers: requirements-train.txt, requirements-torch.txt; without
an interpreter a peer is left out. `--notes` appends the line of the best peer to BUILD_NOTES' table.
"""

import pathlib
import subprocess
import sys

import numpy as np
import side_by_side
from side_by_side import Side

HERE = pathlib.Path(__file__).parent
ROWS = {"base": 8, "mini": 32, "small": 16, "tiny": 32}
LENGTH, SLOTS = 128, 20
# What a loss may differ by: keras-hub and torch compute some parts in another precision.
LIMITS = {"float32": 2e-4, "bfloat16": 0.03}


def main():
    parser = side_by_side.parser(rounds=7, seconds=6)
    parser.add_argument("--tf_models_python")
    parser.add_argument("--keras_hub_python")
    parser.add_argument("--torch_python")
    parser.add_argument("--sizes", nargs="*", default=["base", "mini"])
    parser.add_argument("--policies", nargs="*", default=["bfloat16", "float32"])
    given = parser.parse_args()
    for size in given.sizes:
        folder = given.work / f"train_{size}"
        if not (folder / "batch.npz").exists():
            code = f"import train; train.make({size!r}, {str(folder.absolute())!r})"
            subprocess.run([sys.executable, "-c", code], check=True, cwd=HERE)
        for policy in given.policies:
            compare(given, size, policy, folder)


def make(size, folder):
    """The folder of a model with random weights, which transformers opens too, and a batch."""
    import keras

    import keras_bert as kb

    folder = pathlib.Path(folder)
    keras.utils.set_random_seed(0)
    config = kb.BertConfig.preset(size, activation="gelu_approximate")
    tokenizer = kb.Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(str, range(30_517))])
    kb.Bert.from_config(config, tokenizer, "pretraining", max_length=LENGTH).save(folder / "model")
    random, shape = np.random.default_rng(0), (ROWS[size], LENGTH)
    places = np.sort(np.argsort(random.random(shape), axis=1)[:, :SLOTS], axis=1)
    batch = {
        "token_ids": random.integers(5, config.vocabulary_size, shape),
        "segment_ids": np.repeat([np.arange(LENGTH) * 2 // LENGTH], len(places), 0),
        "padding_mask": np.ones(shape), "mask_positions": places,
        "mask_ids": random.integers(5, config.vocabulary_size, places.shape),
        "next_sentence_label": random.integers(2, size=len(places)),
    }  # fmt: skip
    batch = {name: value.astype("int32") for name, value in batch.items()}
    np.savez(folder / "batch.npz", **batch, mask_weights=np.ones(places.shape, "float32"))


def worker(policy, folder):
    """Ours, in a process of its own."""
    import keras
    import tensorflow as tf

    import keras_bert as kb

    keras.config.set_dtype_policy("mixed_bfloat16" if policy == "bfloat16" else "float32")
    keras.utils.set_random_seed(0)
    bert, batch = kb.load(pathlib.Path(folder) / "model"), dict(np.load(pathlib.Path(folder) / "batch.npz"))
    model = bert.model
    model.compile(kb.AdamW(1e-4))
    x = {name: batch[name] for name in model.input}
    y = {"mlm_logits": batch["mask_ids"], "nsp_logits": batch["next_sentence_label"]}
    weights = {"mlm_logits": batch["mask_weights"], "nsp_logits": np.ones(len(x["token_ids"]), "float32")}

    def loss(_):
        return float(model.test_on_batch(x, y, weights, return_dict=True)["loss"])

    batches = tf.data.Dataset.from_tensors((x, y, weights)).cache().repeat().prefetch(2)
    model.make_train_function()
    batches = iter(batches)

    def step():
        return [np.asarray(value) for value in tf.nest.flatten(model.train_function(batches))]

    side_by_side.serve(loss=loss, seconds=lambda count: side_by_side.timed(step, count))


def compare(given, size, policy, folder):
    code = f"import train; train.worker({policy!r}, {str(folder.absolute())!r})"
    ours = side_by_side.our_side(code)
    kinds = {
        "tf-models": (given.tf_models_python, [policy]),
        "keras-hub": (given.keras_hub_python, [policy, *(["float32+xla"] if policy == "float32" else [])]),
        "torch": (given.torch_python, [policy]),
    }
    peers = [
        Side(f"{kind} {way}", [python, HERE / "train_peers.py", kind, way, folder])
        for kind, (python, ways) in kinds.items()
        if python
        for way in ways
    ]
    expected = ours.ask("loss")
    for side in peers:
        loss = side.ask("loss")
        print(f"{size} {policy}: loss {expected:.5f}, of {side.name} {loss:.5f}", flush=True)
        if not abs(loss - expected) <= LIMITS[policy] * expected:
            raise SystemExit(f"{side.name} computes something else")
    work = f"pretraining step, {size}, {LENGTH} pieces, {ROWS[size]} rows, {policy}"
    command = f"train.py --sizes {size} --policies {policy}"
    side_by_side.compare(given, work, ours, peers, command, "examples/s", ROWS[size])


if __name__ == "__main__":
    main()
