"""Opens a folder that keras_bert saved with Hugging Face transformers, and compares.

Run by hand, in an environment with transformers and torch (neither is a dependency of this project):

    python check_opens_in_transformers.py FOLDER [--logits=FILE.npz] [--tolerance=1e-5]

The .npz, written by the model that was saved, holds `token_ids`, `segment_ids`, `padding_mask` (B, T) and
`logits` (B, C), or `sequence_output` and `pooled_output` of a folder without a head. Optionally `texts` (B,)
and `tokens` (B, T) hold sentences and the ids they must get from AutoTokenizer, 0 where a row has ended
(leave out sentences that spell a special token: transformers obeys them, we do not).
"""

import argparse
import json
import pathlib
import sys

import numpy as np
import torch
import transformers


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--logits", type=pathlib.Path)
    parser.add_argument("--tolerance", type=float, default=1e-5)
    flags = parser.parse_args()

    (name,) = json.loads((flags.folder / "config.json").read_text())["architectures"]
    model, info = getattr(transformers, name).from_pretrained(flags.folder, output_loading_info=True)
    found = {kind: sorted(map(str, keys)) for kind, keys in info.items() if keys}
    print(f"{name} opened by transformers {transformers.__version__}: {found or 'every key in its place'}")
    failures = [f"{kind}: {keys}" for kind, keys in found.items()]

    tokenizer = transformers.AutoTokenizer.from_pretrained(flags.folder)
    if flags.logits:
        expected = np.load(flags.logits)
        failures += differing_outputs(model.eval(), expected, flags.tolerance)
        failures += differing_tokens(tokenizer, expected)
    else:
        print("tokenizer:", tokenizer("A warm, funny film.", "我是程序员")["input_ids"])
    for failure in failures:
        print("FAILED", failure)
    sys.exit(bool(failures))


def differing_outputs(model, expected, tolerance):
    """Lines about the outputs that differ by more than `tolerance`."""
    with torch.no_grad():
        outputs = model(
            input_ids=torch.tensor(expected["token_ids"]),
            token_type_ids=torch.tensor(expected["segment_ids"]),
            attention_mask=torch.tensor(expected["padding_mask"]),
        )
    theirs = {"logits": "logits", "sequence_output": "last_hidden_state", "pooled_output": "pooler_output"}
    failures = []
    for ours in [ours for ours in theirs if ours in expected]:
        difference = np.abs(outputs[theirs[ours]].numpy() - expected[ours])
        if ours == "sequence_output":  # rows of padding are unspecified
            difference = difference * expected["padding_mask"][:, :, None]
        print(f"{ours}: largest difference {difference.max():.2e}")
        if not difference.max() <= tolerance:
            failures.append(f"{ours}: {difference.max():.2e} > {tolerance:.0e}")
    return failures


def differing_tokens(tokenizer, expected):
    """Lines about the sentences that AutoTokenizer turns into other ids."""
    if "texts" not in expected:
        return []
    failures = []
    for text, tokens in zip(expected["texts"], expected["tokens"], strict=True):
        theirs = tokenizer(str(text))["input_ids"]
        if theirs != tokens[tokens != 0].tolist():
            failures.append(f"tokens of {str(text)!r}: transformers {theirs}, ours {tokens.tolist()}")
    print(f"tokens: {len(expected['texts']) - len(failures)} of {len(expected['texts'])} sentences equal")
    return failures


if __name__ == "__main__":
    main()
