"""Learning a vocabulary: ours against the bare `tokenizers` trainer, in turn, each run a process of its own.

python tests/benchmarks/vocabulary.py CORPUS.jsonl.gz [--size=8000] [--rounds=5]     # --help: more

Both read the same file and learn from the same texts; a hundredth, chosen by hash, is held out and encoded by
each side's own tokeniser. `tokenizers` splits and normalises with its own BertNormalizer and
BertPreTokenizer, which is what `BertWordPieceTokenizer.train_from_iterator` does.
"""

import argparse
import hashlib
import json
import resource
import statistics
import subprocess
import sys
import time


def read(args, held_out):
    """The texts of one side of the split."""
    from keras_bert.files.text_streams import TextFiles

    for text in TextFiles(args.corpus, column=args.column).texts():
        if (hashlib.sha256(text.encode()).digest()[0] % 100 == 0) == held_out:
            yield text


def ours(args) -> dict:
    """Learns with keras_bert."""
    import keras_bert as kb

    started = time.perf_counter()
    vocabulary, report = kb.learn_vocabulary(
        read(args, held_out=False), args.size, lowercase=not args.cased, num_workers=args.workers, held_out=0
    )
    times = spent(started)
    tokenizer = kb.Tokenizer(vocabulary, lowercase=not args.cased)
    words = kb.Tokenizer(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]"], lowercase=not args.cased
    )  # every word an [UNK]

    def cut(text):
        return len(words.tokenize(text)), tokenizer.tokenize(text)

    return {**times, **measure(args, cut), **fingerprint(vocabulary.pieces)}


def bare(args) -> dict:
    """Learns with tokenizers alone."""
    from tokenizers import BertWordPieceTokenizer

    started = time.perf_counter()
    tokenizer = BertWordPieceTokenizer(lowercase=not args.cased)
    tokenizer.train_from_iterator(read(args, held_out=False), vocab_size=args.size, show_progress=False)
    times = spent(started)
    ids = tokenizer.get_vocab()

    def cut(text):
        words = tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))
        return len(words), tokenizer.encode(text, add_special_tokens=False).tokens

    return {**times, **measure(args, cut), **fingerprint(sorted(ids, key=ids.get))}


def spent(started) -> dict:
    """Seconds by the clock, and of all processors: where others compute too, only the latter count."""
    seconds = time.perf_counter() - started
    time.sleep(0.5)  # for worker processes to end: only then they are counted
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"seconds": seconds, "cpu_seconds": sum(usage.ru_utime + usage.ru_stime for usage in usages)}


def measure(args, cut) -> dict:
    """[UNK] rate and pieces per word on the held-out texts."""
    num_words = num_pieces = num_unknown = 0
    for text in read(args, held_out=True):
        words, pieces = cut(text)
        num_words += words
        num_pieces += len(pieces)
        num_unknown += pieces.count("[UNK]")
    return {
        "words": num_words,
        "unk_rate": num_unknown / num_words,
        "pieces_per_word": num_pieces / num_words,
    }


def fingerprint(pieces) -> dict:
    """Size and hash, which tell whether two runs learnt the same."""
    return {"pieces": len(pieces), "sha256": hashlib.sha256("\n".join(pieces).encode()).hexdigest()[:12]}


def main():
    """Runs the sides in turn."""
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus")
    parser.add_argument("--column", default="text")
    parser.add_argument("--size", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cased", action="store_true")
    parser.add_argument("--side", choices=["ours", "bare"])
    args = parser.parse_args()
    if args.side:
        print(json.dumps({"ours": ours, "bare": bare}[args.side](args)))
        return
    results = {"ours": [], "bare": []}
    for _ in range(args.rounds):
        for side, runs in results.items():
            command = [sys.executable, __file__, *sys.argv[1:], f"--side={side}"]
            runs.append(json.loads(subprocess.check_output(command, text=True)))
            print(side, json.dumps(runs[-1]), flush=True)
    for side, runs in results.items():
        seconds = statistics.median(run["seconds"] for run in runs)
        pieces = statistics.mean(run["pieces_per_word"] for run in runs)
        unknown = statistics.mean(run["unk_rate"] for run in runs)
        different = len({run["sha256"] for run in runs})
        cpu = statistics.median(run["cpu_seconds"] for run in runs)
        print(
            f"{side}: median {seconds:.2f} s ({cpu:.2f} s of processors), "
            f"pieces per word {pieces:.5f}, [UNK] rate {unknown:.6f}, "
            f"{different} different vocabularies in {len(runs)} runs"
        )
    ratios = [a["seconds"] / b["seconds"] for a, b in zip(*results.values(), strict=True)]
    print(f"ours / bare: median {statistics.median(ratios):.2f} (of {min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
