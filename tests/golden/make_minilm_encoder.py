"""Makes minilm_encoder.npz: what Hugging Face's BertModel gives for all-MiniLM-L6-v2, float32 on a CPU.

Run in an environment with transformers and torch (neither is a dependency of this project):

    python make_minilm_encoder.py FOLDER

FOLDER holds the genuine model (`weights_sha256` in the result says which). Per case the file holds
`token_ids`, `segment_ids`, `padding_mask` (B, T), and of the outputs `pooled_output` (B, D) and, to stay
small, `sequence_output` (B, len(positions), D) at the `positions` only, those of padding included.
"""

import hashlib
import pathlib
import sys

import numpy as np
import torch
import transformers

CLS, SEP, FIRST_WORD, VOCABULARY_SIZE = 101, 102, 1996, 30522
OUTPUT = pathlib.Path(__file__).with_name("minilm_encoder.npz")


def rows(rng, lengths, first_lengths=None):
    """A padded batch of random words: [CLS] A [SEP], and B [SEP] after the given lengths of that."""
    shape = (len(lengths), max(lengths))
    token_ids, segment_ids, padding_mask = (np.zeros(shape, "int32") for _ in range(3))
    for row, length in enumerate(lengths):
        token_ids[row, :length] = rng.integers(FIRST_WORD, VOCABULARY_SIZE, length)
        token_ids[row, length - 1], token_ids[row, 0] = SEP, CLS
        padding_mask[row, :length] = 1
        if first_lengths:
            token_ids[row, first_lengths[row] - 1] = SEP
            segment_ids[row, first_lengths[row] : length] = 1
    return token_ids, segment_ids, padding_mask


def main():
    folder = pathlib.Path(sys.argv[1])
    torch.set_num_threads(1)
    model = transformers.BertModel.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32
    ).eval()
    rng = np.random.default_rng(0)
    cases = {
        "length_1": (rows(rng, [1]), range(1)),
        "length_7": (rows(rng, [7]), range(7)),
        "length_128": (rows(rng, [128]), range(0, 128, 8)),
        "length_512": (rows(rng, [512]), range(0, 512, 16)),
        "padding": (rows(rng, [3, 7, 20, 32]), range(32)),
        "pairs": (rows(rng, [24, 16], first_lengths=[10, 4]), range(24)),
    }
    arrays = {"weights_sha256": hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()}
    for case, (inputs, positions) in cases.items():
        token_ids, segment_ids, padding_mask = inputs
        with torch.no_grad():
            outputs = model(
                input_ids=torch.tensor(token_ids),
                token_type_ids=torch.tensor(segment_ids),
                attention_mask=torch.tensor(padding_mask),
            )
        positions = np.array(positions, "int32")
        arrays |= {
            f"{case}/token_ids": token_ids,
            f"{case}/segment_ids": segment_ids,
            f"{case}/padding_mask": padding_mask,
            f"{case}/positions": positions,
            f"{case}/sequence_output": outputs.last_hidden_state.numpy()[:, positions],
            f"{case}/pooled_output": outputs.pooler_output.numpy(),
        }
    np.savez_compressed(OUTPUT, **arrays)
    print(f"{OUTPUT.name}: {OUTPUT.stat().st_size} bytes, transformers {transformers.__version__}")


if __name__ == "__main__":
    main()
