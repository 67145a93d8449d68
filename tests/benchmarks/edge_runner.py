"""Runs one file in 8 bits, for edge.py: `python edge_runner.py litert|onnx FILE LENGTH THREADS`.

Answers lines on standard input with a line of JSON: `answers FILE.npz` with the logits of the rows in it (ids
(N, L), a row at a time), `time SECONDS` with the milliseconds of every run within so many seconds.
"""

import json
import sys
import time

import numpy as np


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
    for line in sys.stdin:
        verb, value = line.split()
        if verb == "answers":
            answer = [run(row[None]).tolist() for row in np.load(value)["ids"]]
        else:
            answer, end = [], time.perf_counter() + float(value)
            while time.perf_counter() < end:
                started = time.perf_counter()
                run(ids)
                answer.append(1e3 * (time.perf_counter() - started))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
