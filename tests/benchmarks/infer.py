"""An exported model's answer on a CPU beside ONNX Runtime, torch and OpenVINO: the same weights and ids.

    python tests/benchmarks/infer.py --work=FOLDER --peer_python=ENV/bin/python [--models base minilm]
        [--rows 1 16] [--precisions float32 bfloat16] [--rounds 9] [--seconds 2] [--notes]

128 tokens, all of them real, a head of three classes: a classification's `ids` signature as it is exported,
loaded by TensorFlow. The peers run in an environment of their own, requirements-infer.txt: ONNX Runtime as
torch exports and as its own optimiser joins it (float32), torch, OpenVINO with its hint of precision. The
answers are held against ours in float32 before anything is timed.
"""

import pathlib
import subprocess
import sys

import edge
import numpy as np
import side_by_side
from side_by_side import Side

HERE = pathlib.Path(__file__).parent
LENGTH = 128
LIMITS = {"float32": 1e-4, "bfloat16": 0.05}  # of a class' probability
PEERS = {"float32": ("onnx", "onnx_fused", "torch", "openvino"), "bfloat16": ("torch", "openvino")}


def main():
    parser = side_by_side.parser(rounds=9, seconds=2)
    parser.add_argument("--peer_python", required=True)
    parser.add_argument("--models", nargs="*", default=["base", "minilm"])
    parser.add_argument("--rows", nargs="*", type=int, default=[1, 16])
    parser.add_argument("--precisions", nargs="*", default=["float32", "bfloat16"])
    given = parser.parse_args()
    for name in given.models:
        folder = prepared(given, name)
        for precision in given.precisions:
            for rows in given.rows:
                compare(given, name, folder, precision, rows)


def prepared(given, name):
    """The folder of a model and of what the peers made of it; made once."""
    folder = given.work / f"infer_{name}"
    if not (folder / "done").exists():
        code = f"import infer; infer.make({name!r}, {str(folder.absolute())!r})"
        subprocess.run([sys.executable, "-c", code], check=True, cwd=HERE)
        subprocess.run([given.peer_python, HERE / "infer_peers.py", "make", folder], check=True)
        (folder / "done").touch()
    return folder


def make(name, folder):
    """The model's folder, its SavedModel in both precisions, some ids and float32's answers to them."""
    import keras

    import keras_bert as kb

    folder = pathlib.Path(folder)
    edge.make(name, folder, LENGTH)
    for precision, policy in (("float32", "float32"), ("bfloat16", "mixed_bfloat16")):
        keras.config.set_dtype_policy(policy)
        kb.load(folder / "model").export(folder / precision, format="tf_saved_model")


def worker(folder, precision, rows):
    """Ours: the signature of ids of the SavedModel that a server gets."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(pathlib.Path(folder) / precision / "1"))
    ids = np.load(pathlib.Path(folder) / "rows.npz")["ids"][:rows]
    inputs = {"token_ids": ids, "segment_ids": 0 * ids, "length": np.full(rows, LENGTH, np.int32)}
    inputs = {key: tf.constant(value) for key, value in inputs.items()}
    run = loaded.signatures["ids"]
    side_by_side.serve(
        scores=lambda _: run(**inputs)["scores"].numpy().tolist(),
        seconds=lambda count: side_by_side.timed(lambda: run(**inputs)["scores"].numpy(), count),
    )


def compare(given, name, folder, precision, rows):
    code = (
        "import tensorflow_text; "
        f"import infer; infer.worker({str(folder.absolute())!r}, {precision!r}, {rows})"
    )
    ours = side_by_side.our_side(code)
    peers = [
        Side(kind, [given.peer_python, HERE / "infer_peers.py", kind, folder, precision, rows])
        for kind in PEERS[precision]
    ]
    expected = np.load(folder / "rows.npz")["scores"][:rows]
    what = f"{name} {precision} {rows}, from float32"
    side_by_side.check_scores([ours, *peers], expected, LIMITS[precision], what)
    work = f"inference, {name}, {LENGTH} tokens, {rows} rows, {precision}"
    command = f"infer.py --models {name} --rows {rows} --precisions {precision}"
    side_by_side.compare(given, work, ours, peers, command)


if __name__ == "__main__":
    main()
