"""BERT's pretraining as it was published: masked pieces and next sentence, static masks, AdamW.

    keras-bert corpus   --input_file=books/,wiki/ --vocab_file=vocab.txt --output_dir=records \\
                        --masking=static --dupe_factor=10
    keras-bert pretrain --recipe=paper --input_file=records --preset=base --num_train_steps=1000000 \\
                        --output_dir=out/bert

The published run: batches of 256, a million steps (40 passes over 3.3 billion words), a tenth of them with
rows of 512 pieces, the others with 128; 10,000 steps of warm-up, which are its hundredth. For the rows of 512
build a second corpus and go on with --model_dir=out/bert/model.

Source: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, appendix A.2.

Time and result in small, 24,500 film reviews and a mini BERT on 2 CPU cores, with --local_start, since so few
pieces need it: 34 minutes, masked-LM accuracy 0.264 on held-out reviews (BUILD_NOTES.md, 2026-11-26). Its arm
of the benchmark now has --cooccurrence_start too, which was not measured with this recipe yet:

    python tests/benchmarks/pretrain_imdb.py --data=DATA --work=FOLDER --only=paper
"""

SETTINGS = {
    "train_batch_size": 256,
    "optimizer": "adamw",
    "learning_rate": 1e-4,
    "schedule": "linear",
    "warmup_proportion": 0.01,
    "weight_decay": 0.01,
    "clip_norm": 1.0,
    "dtype": "float32",
}
