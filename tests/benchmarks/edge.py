"""What a phone's file costs: TFLite in 8 bits against ONNX Runtime in 8 bits, the same weights and ids.

    python tests/benchmarks/edge.py --peer_python=PEER_ENV/bin/python --work=FOLDER [--models base minilm]
        [--lengths 128 32] [--threads 2] [--rounds 15] [--seconds 2] [--notes]

The peer needs an environment of its own, see requirements-edge.txt. `base` has random weights, `minilm` those
of its package; both get a head of three classes. Both sides are processes that stay; rounds by turns, one
sentence a run, all of its tokens real. Before anything is timed the answers of both are held against
float32's.
"""

import pathlib
import subprocess
import sys

import numpy as np
import side_by_side
import tasks_data
from side_by_side import Side

HERE = pathlib.Path(__file__).parent
ROWS = 64


def main():
    parser = side_by_side.parser(rounds=15, seconds=2)
    parser.add_argument("--peer_python", required=True)
    parser.add_argument("--models", nargs="*", default=["base", "minilm"])
    parser.add_argument("--lengths", nargs="*", type=int, default=[128])
    parser.add_argument("--threads", nargs="*", type=int, default=[2])
    given = parser.parse_args()
    for name in given.models:
        for length in given.lengths:
            folder = given.work / f"{name}_{length}"
            if not (folder / "done").exists():
                code = f"import edge; edge.make({name!r}, {str(folder.absolute())!r}, {length})"
                subprocess.run([sys.executable, "-c", code], check=True, cwd=HERE)
                command = [given.peer_python, HERE / "edge_peer.py", folder / "model", folder, str(length)]
                subprocess.run(command, check=True)
                (folder / "done").touch()
            for threads in given.threads:
                compare(given, name, folder, length, threads)


def make(name, folder, length):
    """The model's folder, which transformers opens too, its .tflite in 8 bits, and float32's answers."""
    import keras

    import keras_bert as kb

    folder = pathlib.Path(folder)
    keras.utils.set_random_seed(0)
    labels = ["a", "b", "c"]
    if name == "minilm":
        bert = kb.load(tasks_data.minilm(), task="classification", labels=labels, max_length=length)
    else:
        tokenizer = kb.Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(str, range(30_517))])
        config = kb.BertConfig.preset(name)
        bert = kb.Bert.from_config(config, tokenizer, "classification", labels=labels, max_length=length)
        for weight in bert.model.weights:
            if weight.path.endswith(("/bias", "/beta")):  # zeros would be left out of a graph of constants
                weight.assign(keras.random.normal(weight.shape, stddev=0.02))
    bert.save(folder / "model")
    bert.export(folder / "model.tflite", format="tflite", quantize="dynamic_int8", length=length)
    ids = np.random.default_rng(1).integers(1000, 20000, (ROWS, length)).astype(np.int32)
    lengths = np.full(ROWS, length, np.int32)
    answer = bert.answerer.ids(token_ids=ids, segment_ids=0 * ids, length=lengths)["scores"].numpy()
    np.savez(folder / "rows.npz", ids=ids, scores=answer)


def compare(given, name, folder, length, threads):
    runner = HERE / "edge_runner.py"
    ours, *peers = [
        Side("TFLite int8", [sys.executable, runner, "litert", folder / "model.tflite", length, threads]),
        *(
            Side(
                f"ONNX Runtime {kind}",
                [given.peer_python, runner, "onnx", folder / f"{kind}.onnx", length, threads],
            )
            for kind in ("int8", "fused_int8")
        ),
    ]
    expected = np.load(folder / "rows.npz")["scores"]
    print(f"{name}, {length} tokens, {threads} threads", flush=True)
    for side in (ours, *peers):
        scores = np.array(side.ask("answers", str(folder / "rows.npz")))
        agreement = np.mean(scores.argmax(1) == expected.argmax(1))
        print(f"  {side.name}: agrees with float32 in {agreement:.3f}, differs by up to "
              f"{np.abs(scores - expected).max():.3g}", flush=True)  # fmt: skip
    work = f"TFLite dynamic int8, {name}, {length} tokens, {threads} threads"
    command = f"edge.py --models {name} --lengths {length} --threads {threads}"
    side_by_side.compare(given, work, ours, peers, command)


if __name__ == "__main__":
    main()
