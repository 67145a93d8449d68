"""What starting costs, beside transformers and keras-hub: whole processes, by turns.

    python tests/benchmarks/start.py [--peer_python=TORCH_ENV/bin/python] [--keras_hub_python=ENV/bin/python]
        [--rounds 9] [--notes]

    import              the library with all that a user of it gets by that
    first prediction    from the start of the process: MiniLM's folder is loaded, one text in, its vector out
    --help              of the command; keras-hub has none

The vectors of all sides (what the pooler makes of [CLS]) are compared before anything is timed. Environments:
requirements-torch.txt; keras-hub comes with keras_bert's own and is asked on TensorFlow.
"""

import argparse
import json
import pathlib
import sys

import numpy as np
import side_by_side
import tasks_data
from side_by_side import Process

TEXT = "A warm, funny film that never loses its way."
LIMITS = {"keras-hub": 1e-3}  # whose GELU is the tanh form, whatever the checkpoint says
IMPORTS = {
    "keras_bert": "import keras_bert as kb; [getattr(kb, name) for name in kb.__all__]",
    "transformers": "from transformers import AutoModel, AutoTokenizer",
    "keras-hub": "import keras_hub",
}
FIRST = {
    "keras_bert": f"""
import json, sys
import keras_bert as kb
print(json.dumps(kb.load(sys.argv[1]).encode({TEXT!r})["pooled_output"][0].tolist()))
""",
    "transformers": f"""
import json, sys, torch
from transformers import AutoModel, AutoTokenizer
tokenizer, model = AutoTokenizer.from_pretrained(sys.argv[1]), AutoModel.from_pretrained(sys.argv[1])
with torch.no_grad():
    print(json.dumps(model(**tokenizer([{TEXT!r}], return_tensors="pt")).pooler_output[0].tolist()))
""",
    "keras-hub": f"""
import json, sys
import keras_hub
backbone = keras_hub.models.BertBackbone.from_preset(sys.argv[1])
prepare = keras_hub.models.BertTextClassifierPreprocessor.from_preset(sys.argv[1], sequence_length=128)
print(json.dumps(backbone.predict(prepare([{TEXT!r}]), verbose=0)["pooled_output"][0].tolist()))
""",
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer_python", help="an interpreter with transformers")
    parser.add_argument("--keras_hub_python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--notes", action="store_true")
    given = parser.parse_args()
    pythons = {"keras_bert": sys.executable, "keras-hub": given.keras_hub_python}
    if given.peer_python:
        pythons["transformers"] = given.peer_python
    measure(given, "import", {name: [python, "-c", IMPORTS[name]] for name, python in pythons.items()})
    folder = tasks_data.minilm()
    first = {name: [python, "-c", FIRST[name], folder] for name, python in pythons.items()}
    check(first)
    measure(given, "first prediction", first)
    helps = {"keras_bert": [sys.executable, "-m", "keras_bert.cli", "--help"]}
    if given.peer_python:
        helps["transformers"] = [pathlib.Path(given.peer_python).with_name("transformers"), "--help"]
        measure(given, "--help", helps)


def check(commands):
    """Every process computes the same vector."""
    vectors = {
        name: json.loads(process(name, each).run().splitlines()[-1]) for name, each in commands.items()
    }
    for name, vector in vectors.items():
        difference = np.abs(np.array(vector) - vectors["keras_bert"]).max()
        print(f"first prediction: {name} differs by {difference:.2g}", flush=True)
        if not difference < LIMITS.get(name, 1e-4):
            raise SystemExit(f"{name} computes something else")


def measure(given, work, commands):
    ours, *peers = (process(name, command) for name, command in commands.items())
    side_by_side.compare(given, f"start: {work}", ours, peers, "start.py")


def process(name, command):
    return Process(name, command, KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")


if __name__ == "__main__":
    main()
