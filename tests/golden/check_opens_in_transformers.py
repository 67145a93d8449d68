"""Hugging Face transformers opens what keras_bert saves: every key, every bit, the same logits, the same ids.

Two commands, by hand, in two environments; torch and transformers are no dependencies of this project:

    python check_opens_in_transformers.py save OUT        where keras_bert is installed
    python check_opens_in_transformers.py open OUT        where torch and transformers 5 are

`save` loads every layout of `layouts/` that loads, and saves it as a Hugging Face folder OUT/NAME; beside it
goes OUT/NAME.npz: inputs and outputs of the library that wrote the layout, and our ids of five sentences.
`save OUT FOLDER ...` takes other model folders in their place, and our own outputs, for want of others.

`open` reads each with the class that `architectures` names, and fails where a key is missing, unexpected or
mismatched, a tensor is not the stored one bit for bit (nor the layout's, where transformers opens that too),
an output differs by more than TOLERANCE, or AutoTokenizer gives another id.
"""

import argparse
import json
import os
import pathlib
import sys
import time
import warnings

import numpy as np

LAYOUTS = pathlib.Path(__file__).resolve().parent / "layouts"
NOT_BERT = ("*.*", "bert4keras_weights", "cousin_*", "hf4_relative_positions", "hf5_decoder")  # refused
OPTIONS = {"bert4keras_checkpoint": {"activation": "gelu"}}  # nothing in that folder says so
TANH = ("google_*", "model_garden*", "tf_hub", "keras_hub_*", "keras_bert_*")  # the other form of gelu
EPSILON = {"keras_bert_cyberzhg": 1e-14}  # too little for an output to show
OPENED_BY_BOTH = ("hf5_*", "hf4_bin*", "sentence_transformers*")
# A dense layer of the head's own is saved as the pooler: the .npz has the encoder's.
OTHER_POOLER = ("model_garden_classifier", "model_garden_pretraining")
# None spells a special token: transformers obeys those in a text, we do not.
SENTENCES = (
    ("The film is warm.", None),
    ("Very good FILMS", "not cold!"),
    ("Déjà vu,\u00a0naïve…", None),
    ("我是 un-bad?!", None),
    ("a\tb\nd", "unseen 🙂 words"),
)
TOLERANCE = 1e-5
FEATURES = {"input_ids": "token_ids", "token_type_ids": "segment_ids", "attention_mask": "padding_mask"}
# Every class, and the name in the .npz of each of its outputs.
OUTPUTS = {
    "BertModel": {},
    "BertForPreTraining": {"prediction_logits": "mlm_logits", "seq_relationship_logits": "nsp_logits"},
    "BertForMaskedLM": {"logits": "mlm_logits"},
    "BertForNextSentencePrediction": {"logits": "nsp_logits"},
    "BertForSequenceClassification": {"logits": "logits"},
    "BertForTokenClassification": {"logits": "logits"},
    "BertForQuestionAnswering": {"start_logits": "start_logits", "end_logits": "end_logits"},
    "BertForMultipleChoice": {"logits": "logits"},
}


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("step", choices=("save", "open"))
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("folders", type=pathlib.Path, nargs="*")
    flags = parser.parse_args()
    started = time.perf_counter()
    if flags.step == "save":
        layouts = [path for path in sorted(LAYOUTS.iterdir()) if not any(map(path.match, NOT_BERT))]
        save_all(flags.out, flags.folders or layouts)
    failures = open_all(flags.out) if flags.step == "open" else []
    for failure in failures:
        print("FAILED", failure)
    print(f"{flags.step}: {len(failures)} failures, {time.perf_counter() - started:.0f} s")
    sys.exit(bool(failures))


def save_all(out, folders):
    """Loads and saves every folder with keras_bert."""
    import keras_bert as kb

    for folder in folders:
        name = folder.name
        if name == "hf5_cache":
            os.environ["HF_HUB_CACHE"] = str(folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the class saved has no pooler where the layout has none
            source = "tiny-org/tiny-bert" if name == "hf5_cache" else folder
            bert = kb.load(source, **OPTIONS.get(name, {}))
        bert.save(out / name)
        golden = LAYOUTS / f"{name}.npz"
        arrays = dict(np.load(golden)) if folder.parent == LAYOUTS else own_outputs(bert)
        ids = [bert.tokenizer.encode(*pair, max_length=512).token_ids for pair in SENTENCES]
        np.savez_compressed(out / f"{name}.npz", **arrays, sentence_ids=json.dumps(ids))
    print(f"{len(folders)} folders saved below {out}")


def own_outputs(bert):
    """The sentences and what we compute from them, where there is no other library's word."""
    features = bert.preprocess([text for text, _ in SENTENCES])
    outputs = bert.encoder(features, training=False)
    top = bert.head_model or bert.model
    logits = top(features, training=False) if top is not None else {}
    logits = logits if isinstance(logits, dict) else {"logits": logits}
    return {name: np.asarray(value) for name, value in {**features, **outputs, **logits}.items()}


def open_all(out):
    """Opens every saved folder with transformers: prints a line each, returns lines about what is wrong."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    print(f"transformers {transformers.__version__}: keys, tensors, largest differences, ids")
    failures, seen = [], set()
    for file in sorted(out.glob("*.npz")):
        folder, golden = file.with_suffix(""), dict(np.load(file))
        (name,) = json.loads((folder / "config.json").read_text())["architectures"]
        load = getattr(transformers, name).from_pretrained
        model, info = load(folder, output_loading_info=True, ignore_mismatched_sizes=True)
        faults = [f"{kind} {sorted(map(str, keys))}" for kind, keys in info.items() if keys]
        faults += wrong_arithmetic(model.config, folder)
        compared, differing = differing_tensors(model.eval(), folder)
        differences = output_differences(model, golden, folder.name in OTHER_POOLER)
        faults += differing + [f"{key} differs" for key in differences if not differences[key] <= TOLERANCE]
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        faults += differing_ids(tokenizer, json.loads(str(golden["sentence_ids"])))
        numbers = ", ".join(f"{key} {value:.1e}" for key, value in differences.items())
        print(f"{folder.name:26} {name:30} {compared} {numbers}")
        failures += [f"{folder.name}: {fault}" for fault in faults]
        seen.add(name)
    print(f"{len(seen)} of {len(OUTPUTS)} classes")
    return failures if seen else [f"no saved folder in {out}"]


def wrong_arithmetic(config, folder):
    """Lines about a config.json that says another activation or epsilon than the layout's library has."""
    if not (LAYOUTS / folder.name).is_dir():
        return []
    tanh = any(map(folder.match, TANH))
    expected = "gelu_new" if tanh else "gelu", EPSILON.get(folder.name, 1e-12)
    found = config.hidden_act, config.layer_norm_eps
    return [] if found == expected else [f"config.json says {found}, the layout is {expected}"]


def differing_tensors(model, folder):
    """How many tensors were compared, as "file/layout", and lines about those with another bit."""
    import safetensors.torch

    loaded = model.state_dict()
    stored = safetensors.torch.load_file(folder / "model.safetensors")
    faults = [f"{key} is not as stored" for key in stored if not same_bits(loaded.get(key), stored[key])]
    original = {}
    if any(map(folder.match, OPENED_BY_BOTH)) and (LAYOUTS / folder.name).is_dir():
        files = [*(LAYOUTS / folder.name).rglob("*.safetensors"), *(LAYOUTS / folder.name).rglob("*.bin")]
        [source] = {file.parent for file in files}
        original = type(model).from_pretrained(source, dtype="float32").state_dict()
        if not model.config.tie_word_embeddings:
            original.pop("cls.predictions.bias", None)  # nothing reads it: the decoder has its own
    unequal = [key for key in original if not same_bits(loaded.get(key), original[key])]
    faults += [f"{key} is not the layout's" for key in unequal]
    return f"{len(stored)}/{len(original)} tensors", faults


def same_bits(found, expected):
    """Whether two tensors agree in dtype, shape and every bit."""
    if found is None or (found.dtype, found.shape) != (expected.dtype, expected.shape):
        return False
    return found.numpy().tobytes() == expected.numpy().tobytes()


def output_differences(model, golden, other_pooler):
    """The largest difference of every output that the class has."""
    import torch

    inputs = {theirs: torch.from_numpy(golden[ours]).long() for theirs, ours in FEATURES.items()}
    with torch.no_grad():
        outputs = model(**inputs, output_hidden_states=True)
        found = {"sequence_output": outputs.hidden_states[-1]}
        if model.base_model.pooler is not None and not other_pooler:
            found["pooled_output"] = model.base_model.pooler(found["sequence_output"])
    for theirs, ours in OUTPUTS[type(model).__name__].items():
        scores = ours.replace("logits", "probabilities")  # all that some libraries give
        found |= {scores: outputs[theirs].softmax(-1)} if scores in golden else {ours: outputs[theirs]}
    differences, is_token = {}, golden["padding_mask"].astype(bool)
    for key in found.keys() - {"sequence_output", "pooled_output"} | found.keys() & golden.keys():
        theirs, expected = found[key].numpy(), golden[key]
        if theirs.shape[:2] == is_token.shape and is_token.ndim == 2:  # rows of padding are unspecified
            theirs, expected = theirs[is_token], expected[is_token]
        differences[key] = np.abs(theirs - expected).max()
    return dict(sorted(differences.items()))


def differing_ids(tokenizer, ours):
    """Lines about the sentences that get other ids from AutoTokenizer."""
    theirs = [tokenizer(*pair)["input_ids"] for pair in SENTENCES]
    rows = zip(SENTENCES, theirs, ours, strict=True)
    return [f"ids of {pair}: transformers {found}, ours {own}" for pair, found, own in rows if found != own]


if __name__ == "__main__":
    main()
