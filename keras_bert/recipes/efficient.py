"""Pretraining with what has been learnt since: no next sentence, more and ever new masks, full rows.

    keras-bert corpus   --input_file=books/,wiki/ --vocab_file=vocab.txt --output_dir=records \\
                        --nonext_sentence
    keras-bert pretrain --recipe=efficient --input_file=records --preset=base --num_train_steps=100000 \\
                        --output_dir=out/bert

No next sentence (Liu et al. 2019, https://arxiv.org/abs/1907.11692), masks drawn anew in every epoch (the
same), 30 % of the pieces masked (Wettig et al. 2022, https://arxiv.org/abs/2202.08005), rows packed full, no
dropout and a higher rate, since hardly anything is seen twice (Geiping and Goldstein 2022,
https://arxiv.org/abs/2212.14034), heads that begin by looking at the neighbours (`training/local_start.py`),
embeddings that begin from which pieces stand near one another (`training/cooccurrence.py`), bfloat16. On a
CPU without bfloat16 of its own --precision=float32 is faster.

Time and result in small, 24,500 film reviews and a mini BERT on 2 CPU cores: half an hour (1,773 s, 2,086
steps), masked-LM accuracy 0.330 on held-out reviews; without the second of the two starts 0.294, without both
0.158 (BUILD_NOTES.md, 2026-11-26):

    python tests/benchmarks/pretrain_imdb.py --data=DATA --work=FOLDER --only=efficient
"""

SETTINGS = {
    "next_sentence": False,
    "masks": {"masked_lm_prob": 0.3},
    "packed": True,
    "local_start": True,
    "cooccurrence_start": True,
    "dropout": 0.0,
    "train_batch_size": 256,
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "schedule": "linear",
    "warmup_proportion": 0.06,
    "weight_decay": 0.01,
    "clip_norm": 1.0,
    "dtype": "mixed_bfloat16",
}
