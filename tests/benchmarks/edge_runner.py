"""Runs one file in 8 bits, for edge.py: `python edge_runner.py litert|onnx FILE LENGTH THREADS`.

A worker of side_by_side.py: `answers FILE.npz` answers the scores of the rows in it (ids (N, L), a row at a
time), `seconds COUNT` the mean seconds of so many runs.
"""

import sys

import numpy as np
import side_by_side


def litert(path, length, threads):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=threads)
    runner = interpreter.get_signature_runner("serving_default")

    def run(ids):
        ones = np.ones_like(ids)
        return runner(token_ids=ids, segment_ids=ones * 0, padding_mask=ones)["scores"][0]

    return run


def onnx(path, length, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(ids):
        ids = ids.astype(np.int64)
        ones = np.ones_like(ids)
        feed = {"input_ids": ids, "token_type_ids": ones * 0, "attention_mask": ones}
        logits = session.run(None, {each.name: feed[each.name] for each in session.get_inputs()})[0][0]
        shifted = np.exp(logits - logits.max())
        return shifted / shifted.sum()

    return run


def main(kind, path, length, threads):
    run = {"litert": litert, "onnx": onnx}[kind](path, int(length), int(threads))
    ids = np.random.default_rng(0).integers(1000, 20000, (1, int(length))).astype(np.int32)

    def answers(file):
        return [run(row[None]).tolist() for row in np.load(file)["ids"]]

    side_by_side.serve(answers=answers, seconds=lambda count: side_by_side.timed(lambda: run(ids), count))


if __name__ == "__main__":
    main(*sys.argv[1:])
