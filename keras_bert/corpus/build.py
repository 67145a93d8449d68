"""Raw text to pretraining records: in constant memory, on every core, and again after any interruption.

    pieces of the input ─► documents in ids, scattered over the shards ─► a shard paired, shuffled, written

Both steps are functions of one piece or of one shard (`steps.py`), so that any number of processes gives the
same bytes, and what is finished when a process dies need not be done again.
"""

import collections
import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_bert.corpus import beam
from keras_bert.corpus.chinese_words import word_cutter
from keras_bert.corpus.documents import plan_pieces
from keras_bert.corpus.manifest import NAME, WORK, Manifest, read_manifest, write_manifest
from keras_bert.corpus.settings import CorpusSettings
from keras_bert.corpus.steps import Work, scatter, write_shard
from keras_bert.errors import DataError, OutputError, VocabularyError
from keras_bert.files.atomic import atomic_file, output_errors
from keras_bert.files.locks import folder_lock
from keras_bert.files.manifest import sha256_of
from keras_bert.files.processes import in_order, num_cores
from keras_bert.files.text_streams import TextFiles
from keras_bert.text.settings import CONFIG_FILE, VOCABULARY_FILE

# Text of one shard; a process holds one shard at a time, in some twenty times its bytes of ids.
_SHARD_BYTES = 16 * 10**6
_PIECE_BYTES = (2**20, 64 * 2**20)
_NUM_PIECES = 256
_MAX_UNKNOWN = 0.02


def build_corpus(
    input_file,
    output_dir,
    tokenizer,
    settings: CorpusSettings | None = None,
    *,
    num_workers: int | None = None,
    progress: Callable | None = None,
    runner: str | None = None,
    runner_options: Sequence[str] = (),
) -> Manifest:
    """Builds pretraining records from text files.

    Args:
        input_file: path, or sequence of paths. Files, folders and patterns: text (.txt) and JSON lines
            (.jsonl), plain or compressed.
        output_dir: path. The folder to write; after an interruption the same call goes on in it.
        tokenizer: Tokenizer. Its vocabulary goes into the folder.
        settings: CorpusSettings.
        num_workers: int or None. Processes; None: one for each core. The bytes do not depend on it.
        progress: callable or None. Called with (stage, done, total, detail, unit, scale).
        runner: str or None. Apache Beam's runner, such as `"DirectRunner"`, in place of our processes.
        runner_options: sequence of str. Beam's flags.
    Returns:
        Manifest: counts, and the shards with their SHA-256.
    Raises:
        DataError: a text that cannot be read, or a corpus without a pair in it.
        OutputError: the folder holds other files, or a corpus of other settings; or the disk is full.
    """
    settings, output = settings or CorpusSettings(), Path(output_dir)
    files = TextFiles(input_file, column=settings.text_column, encoding=settings.encoding)
    progress, workers = progress or (lambda *_: None), num_workers or num_cores()
    with folder_lock(output), output_errors(output):
        plan = _plan(files, tokenizer, settings)
        _take_up(output, plan, tokenizer)
        if (output / NAME).exists():  # this very corpus, finished before
            shutil.rmtree(output / WORK, ignore_errors=True)
            return read_manifest(output)
        work = Work(str(output / WORK), str(output), settings, plan["num_shards"])
        pieces = list(enumerate(plan_pieces(files.paths, work.reading, plan["piece_bytes"])))
        if runner is not None:  # the notes it leaves are what the steps below find done
            beam.run(work, pieces, runner, runner_options)
        scattered = _scatter(work, pieces, workers, files.num_bytes, progress)
        try:
            counts = _counted(scattered, settings)
        except DataError:  # only other settings or texts can help: they find the folder as it was
            _clear(output)
            raise
        names = [name for result in scattered for name in result["files"]]
        _finish(output, plan, counts, _write(work, names, workers, progress))
    return read_manifest(output)


def _finish(output: Path, plan: dict, counts: collections.Counter, written: list[dict]):
    """Writes the manifest, which says that all is there, and takes the work away."""
    lengths = collections.Counter()
    for facts in written:
        lengths.update({int(length): count for length, count in facts.pop("lengths").items()})
        counts["random_next"] += facts.pop("random_next")
    counts["examples"] = sum(facts["examples"] for facts in written)
    for leftover in output.glob(".*.stage*"):  # of killed runs: nobody else writes here, we hold the lock
        leftover.unlink()
    write_manifest(
        output, settings=plan["settings"], inputs=plan["inputs"], plan=_hash(plan), counts=counts,
        vocabulary=plan["vocabulary"], lengths=lengths, shards=written,
    )  # fmt: skip
    shutil.rmtree(output / WORK)


def _plan(files, tokenizer, settings) -> dict:
    """Everything that the bytes of the corpus depend on."""
    if "[MASK]" not in tokenizer.vocabulary:
        raise VocabularyError(
            "The vocabulary has no [MASK], so that nothing can be masked",
            where="--vocab_file", expected="[MASK] among its pieces",
            remedy="learn one with `keras-bert vocabulary`, or write [MASK] over an [unused] piece",
        )  # fmt: skip
    words = settings.chinese_words
    if words is not None:
        word_cutter(words)  # refuses now what cannot be read
        words = sha256_of(words) if os.path.isfile(words) else importlib.metadata.version(words)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(folder)
        hashes = [sha256_of(Path(folder, name)) for name in (VOCABULARY_FILE, CONFIG_FILE)]
    inputs = [
        {"name": os.path.basename(path), "bytes": os.path.getsize(path), "changed": os.stat(path).st_mtime_ns}
        for path in files.paths
    ]
    return {
        "settings": settings.to_dict(),
        "inputs": inputs,
        "vocabulary": {"pieces": len(tokenizer.vocabulary), "sha256": hashes[0], "options": hashes[1]},
        "words": words,
        "num_shards": settings.num_shards or max(1, -(-files.num_bytes // _SHARD_BYTES)),
        "piece_bytes": min(max(files.num_bytes // _NUM_PIECES, _PIECE_BYTES[0]), _PIECE_BYTES[1]),
    }


def _take_up(output: Path, plan: dict, tokenizer):
    """Begins in an empty folder, or goes on in one of the same plan; refuses any other."""
    note = output / WORK / "plan.json"
    if (output / NAME).exists():
        found = read_manifest(output)
        if found.plan != _hash(plan):
            before = {"settings": found.settings, "vocabulary": found.vocabulary, "inputs": found.inputs}
            raise _other_corpus(output, before, plan)
    elif note.exists():
        before = json.loads(note.read_text())
        if before != plan:
            raise _other_corpus(output, before, plan)
    else:
        present = sorted(path.name for path in output.iterdir()) if output.exists() else []
        if present not in ([], [WORK]):
            raise OutputError(
                f"The folder holds {', '.join(present[:5])}", where=str(output),
                expected="a new or empty folder, or one in which this corpus was begun",
            )  # fmt: skip
        note.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(note) as stage:
            stage.write_text(json.dumps(plan))
    tokenizer.save(output)


def _clear(output: Path):
    """Takes back what an unfinished corpus has put into its folder."""
    shutil.rmtree(output / WORK)
    for name in (VOCABULARY_FILE, CONFIG_FILE):
        (output / name).unlink()
    with contextlib.suppress(OSError):  # it was there before, with something in it
        output.rmdir()


def _other_corpus(output: Path, before: dict, plan: dict) -> OutputError:
    """The error that names what differs."""
    settings, now = before["settings"], plan["settings"]
    differing = [name for name in now if settings.get(name) != now[name]]
    what = ", ".join(f"{name}={settings.get(name)!r}, now {now[name]!r}" for name in differing)
    for name, told in (("vocabulary", "the vocabulary"), ("inputs", "the input files")):
        if before.get(name) != plan[name]:
            what += f"{', ' if what else ''}{told} changed"
    return OutputError(
        f"There is a corpus of other settings in this folder: {what or 'written by another version'}",
        where=str(output),
        remedy="choose another folder, or delete this one",
    )


def _hash(plan: dict) -> str:
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()


def _scatter(work: Work, pieces, workers: int, num_bytes: int, progress) -> list[dict]:
    """The first step over all pieces."""
    results, bytes_read, documents, started = [], 0, 0, time.perf_counter()
    for result in in_order(functools.partial(scatter, work=work), pieces, workers):
        results.append(result)
        bytes_read += result["counts"].get("bytes", 0)
        documents += result["counts"].get("documents", 0)
        rate = documents / (time.perf_counter() - started)
        detail = f"{documents:,} documents  {rate:,.0f} documents/s"
        progress("reading", bytes_read, num_bytes, detail, "MB", 1e6)
    return results


def _write(work: Work, files: list[str], workers: int, progress) -> list[dict]:
    """The second step over all shards."""
    results, examples = [], 0
    step = functools.partial(write_shard, work=work, files=files)
    for facts in in_order(step, range(work.num_shards), workers):
        results.append(facts)
        examples += facts["examples"]
        progress("writing", len(results), work.num_shards, f"{examples:,} examples", "shards", 1)
    return results


def _counted(scattered: list[dict], settings: CorpusSettings) -> collections.Counter:
    """What was read; refuses a corpus that cannot be learnt from, and warns of one that hardly can."""
    counts, samples = collections.Counter(), []
    for result in scattered:
        counts.update(result["counts"])
        samples += result["samples"][: max(0, 3 - len(samples))]
    if not counts["documents"]:
        raise DataError(
            f"There is no text in the files: {counts['empty_documents']} empty documents",
            where="--input_file",
        )
    if settings.next_sentence and (counts["documents"] == 1 or not counts["with_several_sentences"]):
        only = "there is one document" if counts["documents"] == 1 else "every document has one sentence"
        raise DataError(
            f"Next sentences cannot be learnt from this corpus: {only}", where="--input_file",
            expected="documents of several sentences: a sentence a line, a blank line after each document",
            remedy="separate the documents, have running text cut into sentences (--sentences=text), or do "
            "without (--nonext_sentence)",
        )  # fmt: skip
    share = counts["unknown"] / max(1, counts["tokens"])
    if share > _MAX_UNKNOWN:
        warnings.warn(
            f"{share:.1%} of all pieces are [UNK]: the vocabulary does not know this language, or this case. "
            f"Some of the texts: {'; '.join(map(repr, samples))}",
            stacklevel=3,
        )
    return counts
