"""The peers of predict.py: `python predict_peers.py KIND FOLDER TEXTS LENGTH CLIENTS`.

KIND is pipeline, pipeline_bfloat16, onnx or onnx_one_core. CLIENTS is 0 for batches, else as many threads
ask, a text a call.
"""

import json
import pathlib
import sys

import numpy as np
import side_by_side

BATCH = 32


def pipeline(folder, length, dtype="float32"):
    """Hugging Face's pipeline, batched."""
    import transformers

    answer = transformers.pipeline(
        "text-classification", model=str(folder / "model"), top_k=None, dtype=dtype
    )

    def run(texts):
        rows = answer(texts, batch_size=BATCH, truncation=True, max_length=length)
        return [[each["score"] for each in sorted(row, key=lambda each: each["label"])] for row in rows]

    return run


def pipeline_bfloat16(folder, length):
    """The same in bfloat16."""
    return pipeline(folder, length, "bfloat16")


def onnx(folder, length, cores=None):
    """tokenizers, each batch padded to its longest text, and ONNX Runtime."""
    import os

    import onnxruntime
    import tokenizers

    tokenizer = tokenizers.BertWordPieceTokenizer(str(folder / "model" / "vocab.txt"), lowercase=True)
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores or len(os.sched_getaffinity(0))
    session = onnxruntime.InferenceSession(str(folder / "float32_any.onnx"), options)

    def run(texts):
        scores = []
        for start in range(0, len(texts), BATCH):
            rows = tokenizer.encode_batch(texts[start : start + BATCH])
            inputs = {
                "input_ids": [row.ids for row in rows], "token_type_ids": [row.type_ids for row in rows],
                "attention_mask": [row.attention_mask for row in rows],
            }  # fmt: skip
            logits = session.run(None, {name: np.array(value, np.int64) for name, value in inputs.items()})[0]
            weights = np.exp(logits - logits.max(axis=1, keepdims=True))
            scores += (weights / weights.sum(axis=1, keepdims=True)).tolist()
        return scores

    return run


def onnx_one_core(folder, length):
    """The same with one core a call."""
    return onnx(folder, length, cores=1)


def main(kind, folder, texts, length, clients):
    kinds = (pipeline, pipeline_bfloat16, onnx, onnx_one_core)
    run = {each.__name__: each for each in kinds}[kind](pathlib.Path(folder), int(length))
    texts = json.loads(pathlib.Path(texts).read_text())

    def every(_=None):
        if int(clients):
            return side_by_side.by_clients(lambda text: run([text])[0], texts, int(clients))
        return run(texts)

    side_by_side.serve(scores=every, seconds=lambda count: side_by_side.timed(every, count))


if __name__ == "__main__":
    main(*sys.argv[1:])
