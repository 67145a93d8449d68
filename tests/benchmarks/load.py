"""What loading BERT-base costs, and what `keras-bert inspect` does, each in a fresh process.

python tests/benchmarks/load.py [--repeats=7] [--folder=DIR ...]     # 2 cores: 3 min

Folders of random weights (safetensors, as transformers and as we write them; Google's checkpoint) are made
in a temporary place; `--folder` adds others, such as one with a `pytorch_model.bin`. "read + assign" begins
when TensorFlow is imported and the model built; "kb.load" is all of it, the hashes of our own folder
included. Memory is the growth of the process' largest resident size since before the model was built, over
the weights' bytes.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VOCABULARY = ["[PAD]", *(f"[unused{i}]" for i in range(99)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def make(folder: Path):
    """The three folders, from random weights."""
    import keras_bert as kb
    from keras_bert.bert import Bert

    config = kb.BertConfig.preset("base")
    pieces = [*VOCABULARY, *(f"piece{i}" for i in range(config.vocabulary_size - len(VOCABULARY)))]
    bert = Bert.from_config(config, kb.Tokenizer(pieces, lowercase=True))
    bert.save(folder / "ours")
    bert.save(folder / "google", format="google")
    (folder / "transformers").mkdir()
    for file in (folder / "ours").iterdir():
        if file.name != "keras_bert.json":  # whose hashes make the folder ours
            (folder / "transformers" / file.name).hardlink_to(file)


def measure(folder: str) -> dict:
    """Both measurements in this process, in which nothing has been loaded before."""
    import keras_bert as kb
    from keras_bert.bert import Bert
    from keras_bert.checkpoints.checkpoint import encoder_weights, read_folder
    from keras_bert.checkpoints.tokenizer_files import read_tokenizer
    from keras_bert.loading import assign

    kb.bert_encoder(kb.BertConfig.preset("tiny"))  # TensorFlow's own first steps
    tokenizer = read_tokenizer(Path(folder))
    before = _resident("VmHWM")
    config = read_folder(folder, check_hashes=False).config
    bert = Bert.from_config(config, tokenizer, blank=True)
    started = time.perf_counter()
    checkpoint = read_folder(folder, check_hashes=False)
    assign(bert.encoder, encoder_weights(checkpoint).weights)
    seconds = time.perf_counter() - started
    memory = (_resident("VmHWM") - before) / (4 * bert.encoder.count_params())
    del bert
    started = time.perf_counter()
    kb.load(folder)
    return {"read + assign": seconds, "memory": memory, "kb.load": time.perf_counter() - started}


def _resident(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])


def _inspect(folder: Path) -> float:
    started = time.perf_counter()
    command = [sys.executable, "-m", "keras_bert.cli", "inspect", f"--model_dir={folder}"]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--folder", action="append", default=[])
    parser.add_argument("--make", help=argparse.SUPPRESS)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        return make(Path(options.make))
    if options.measure:
        return print(json.dumps(measure(options.measure)))
    with tempfile.TemporaryDirectory() as place:
        subprocess.run([sys.executable, __file__, f"--make={place}"], check=True, capture_output=True)
        folders = [*sorted(Path(place).iterdir()), *map(Path, options.folder)]
        results = {folder: [] for folder in folders}
        for _ in range(options.repeats + 1):
            for folder in folders:
                command = [sys.executable, __file__, f"--measure={folder}"]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                values = json.loads(done.stdout.splitlines()[-1])
                results[folder].append({**values, "inspect": _inspect(folder)})
        print(f"{'folder':<16}" + "".join(f"{name:>24}" for name in results[folders[0]][0]))
        for folder, rows in results.items():
            line = f"{folder.name:<16}"
            for name in rows[0]:
                values = sorted(row[name] for row in rows[1:])  # the first one warms the disk
                unit = "x" if name == "memory" else "s"
                line += f"{statistics.median(values):>9.2f} {unit} ({values[0]:.2f}-{values[-1]:.2f})"
            print(line)
    return None


if __name__ == "__main__":
    main()
