"""The peers of infer.py: `python infer_peers.py make FOLDER`, or `KIND FOLDER PRECISION ROWS` as a worker.

KIND is onnx, onnx_fused, torch or openvino. Needs no keras_bert (requirements-infer.txt).
"""

import os
import pathlib
import sys

import numpy as np
import side_by_side

THREADS = len(os.sched_getaffinity(0))
NAMES = ("input_ids", "token_type_ids", "attention_mask")


def model_of(folder):
    import transformers

    return transformers.BertForSequenceClassification.from_pretrained(folder / "model").eval()


def make(folder):
    """float32.onnx as torch exports it for any number of rows, fused.onnx by ONNX Runtime's optimiser.

    float32_any.onnx takes any length too.
    """
    import torch
    from onnxruntime.transformers.fusion_options import FusionOptions
    from onnxruntime.transformers.optimizer import optimize_model

    model = model_of(folder)

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, token_type_ids, attention_mask):
            return self.model(input_ids, attention_mask, token_type_ids).logits

    model.config._attn_implementation = "eager"
    ids, path = torch.ones((2, 128), dtype=torch.int64), str(folder / "float32.onnx")
    for file, axes in (("float32.onnx", {0: "rows"}), ("float32_any.onnx", {0: "rows", 1: "tokens"})):
        torch.onnx.export(
            Logits(), (ids, ids, ids), str(folder / file), input_names=list(NAMES), output_names=["logits"],
            opset_version=17, dynamo=False, dynamic_axes=dict.fromkeys(NAMES, axes),
        )  # fmt: skip
    fused = optimize_model(
        path, model_type="bert", num_heads=model.config.num_attention_heads,
        hidden_size=model.config.hidden_size, optimization_options=FusionOptions("bert"), opt_level=1,
    )  # fmt: skip
    fused.save_model_to_file(str(folder / "fused.onnx"))


def onnx(folder, precision, inputs, file="float32.onnx"):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(str(folder / file), options)
    return lambda: session.run(None, inputs)[0]


def onnx_fused(folder, precision, inputs):
    return onnx(folder, precision, inputs, "fused.onnx")


def torch(folder, precision, inputs):
    import torch

    torch.set_num_threads(THREADS)
    model, inputs = model_of(folder), {name: torch.tensor(value) for name, value in inputs.items()}
    if precision == "bfloat16":
        model = model.to(torch.bfloat16)

    def run():
        with torch.inference_mode():
            return model(**inputs).logits.float().numpy()

    return run


def openvino(folder, precision, inputs):
    import openvino as ov

    hint = {"float32": "f32", "bfloat16": "bf16"}[precision]
    settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": THREADS,
                "PERFORMANCE_HINT": "LATENCY"}  # fmt: skip
    compiled = ov.Core().compile_model(str(folder / "float32.onnx"), "CPU", settings)
    request = compiled.create_infer_request()
    return lambda: request.infer(inputs)[compiled.output(0)]


def main(kind, folder, precision=None, rows=0):
    folder = pathlib.Path(folder)
    if kind == "make":
        return make(folder)
    ids = np.load(folder / "rows.npz")["ids"][: int(rows)].astype(np.int64)
    kinds = {"onnx": onnx, "onnx_fused": onnx_fused, "torch": torch, "openvino": openvino}
    run = kinds[kind](folder, precision, dict(zip(NAMES, (ids, 0 * ids, 0 * ids + 1), strict=True)))

    def scores(_):
        logits = run().astype(np.float64)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (weights / weights.sum(axis=1, keepdims=True)).tolist()

    return side_by_side.serve(scores=scores, seconds=lambda count: side_by_side.timed(run, count))


if __name__ == "__main__":
    main(*sys.argv[1:])
