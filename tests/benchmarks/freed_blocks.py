"""Training steps with what they free kept (training/memory.py), beside glibc as it is.

    python tests/benchmarks/freed_blocks.py --data=DATA --work=FOLDER [--only mrpc cmrc] [--steps=8]
        [--rounds=5]

DATA is the folder of real data. MRPC with MiniLM, 32 pairs a step, and CMRC with SimBERT-tiny, 16 windows of
256 pieces, in float32. A round of a side trains the same first batches once more; both processes stay, and
are asked by turns. GLIBC_TUNABLES, set but empty, makes keras_bert leave malloc alone. Much is gained where
`/sys/kernel/mm/transparent_hugepage/enabled` says madvise.
"""

import pathlib
import resource
import sys
import time

import side_by_side
import tasks_data


def main():
    parser = side_by_side.parser(rounds=5)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--only", nargs="*", default=["mrpc", "cmrc"])
    parser.add_argument("--steps", type=int, default=8)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    for name in given.only:
        kept, plain = (
            side_by_side.Side(side, ["env", *setting, sys.executable, __file__, *words(given, name)])
            for side, setting in (("kept", ["-u", "GLIBC_TUNABLES"]), ("glibc's own", ["GLIBC_TUNABLES="]))
        )
        side_by_side.by_turns([kept, plain], None, given.rounds)
        for side in (kept, plain):
            print(f"{name}: {side.name}, at most {side.ask('megabytes'):.0f} MB")
            side.close()
        command = f"freed_blocks.py --only {name}"
        side_by_side.report(f"{given.steps} training steps of {name}, float32", kept, [plain], command)


def words(given, name) -> list:
    return ["worker", given.data, given.work, name, given.steps]


def worker(data, work, name, steps):
    import keras_bert as kb

    run, files = tasks_data.RUNS[name], tasks_data.files(pathlib.Path(data), pathlib.Path(work), name)
    settings = (
        {"labels": ["0", "1"]} if run["task"] == "classification" else {"max_length": run["max_seq_length"]}
    )
    bert = kb.load(files["model_dir"], run["task"], **settings)
    batches = bert.dataset(files["train_file"], run.get("train_batch_size", 32), training=True)
    batches = batches.take(int(steps)).cache()
    bert.model.compile(optimizer=kb.AdamW(5e-5))

    def seconds(_):
        started = time.perf_counter()
        bert.model.fit(batches, verbose=0)
        return time.perf_counter() - started

    def megabytes(_):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    side_by_side.serve(seconds=seconds, megabytes=megabytes)


if __name__ == "__main__":
    worker(*sys.argv[2:]) if sys.argv[1] == "worker" else main()
