"""The same corpus by Apache Beam, on as many machines as its runner has: the same functions, the same bytes.

    pieces ─► documents in ids (FlatMap) ─► by shard (GroupByKey) ─► a shard paired, shuffled, written (Map)

The files of the input, and the output folder, must be there under one path for every worker: a shared file
system, or on one machine any.
"""

import collections
from collections.abc import Iterator, Sequence
from pathlib import Path

from keras_bert.corpus.documents import Piece
from keras_bert.corpus.steps import (
    NUM_OTHERS,
    Work,
    is_lonely,
    piece_note,
    put,
    shard_note,
    token_documents,
    write_documents,
)
from keras_bert.errors import MissingExtraError, UsageError


def run(work: Work, pieces: Sequence[tuple[int, Piece]], runner: str, options: Sequence[str] = ()):
    """Runs both steps over all pieces; leaves the shards, and the notes that `build.py` reads.

    Args:
        work: Work.
        pieces: sequence of (number, Piece).
        runner: str. Beam's name of it: `"DirectRunner"`, `"FlinkRunner"`, `"SparkRunner"` …
        options: sequence of str. Flags of Beam and the runner, such as `"--direct_num_workers=2"`.

    Raises:
        MissingExtraError: Apache Beam is not installed.
        UsageError: there is no such runner.
    """
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise MissingExtraError(
            "Apache Beam is not installed", where=f"--runner={runner}",
            remedy="pip install 'keras-bert-kit[beam]'",
        ) from error  # fmt: skip
    try:
        pipeline = beam.Pipeline(options=PipelineOptions([f"--runner={runner}", *options]))
    except (ValueError, ImportError, AttributeError) as error:
        raise UsageError(f"Beam has no runner {runner!r}: {error}", where="--runner") from error
    with pipeline as root:
        documents = root | beam.Create(pieces) | beam.Reshuffle() | beam.FlatMap(_documents, work)
        smallest = (
            documents
            | beam.Filter(lambda row: row[1][1].place[2] == 0)
            | beam.Values()
            | beam.combiners.Top.Of(NUM_OTHERS, key=_order, reverse=True)
        )
        by_shard = documents | beam.GroupByKey()
        _ = by_shard | beam.Map(_write, work, beam.pvalue.AsSingleton(smallest))
    for shard in range(work.num_shards):  # those without a document
        if not shard_note(shard, work).exists():
            write_documents(shard, [], (), work)


def _documents(task: tuple[int, Piece], work: Work) -> Iterator:
    """(shard, (key, document)) of every document of a piece."""
    number, piece = task
    counts, samples = collections.Counter(), []
    for shard, key, document in token_documents(work, piece, counts, samples):
        yield shard, (key, document)
    put(piece_note(number, work), {"counts": counts, "samples": samples, "files": [], "smallest": []})


def _write(row, work: Work, smallest) -> str:
    """Writes one shard; returns its name."""
    shard, keyed = row
    documents = [document for _, document in sorted(keyed, key=_order)]
    others = [document for _, document in sorted(smallest, key=_order)]
    if not Path(work.folder).is_dir():
        raise FileNotFoundError(f"{work.folder}: this worker does not see the output folder")
    return write_documents(shard, documents, others if is_lonely(documents) else (), work)["name"]


def _order(pair):
    key, document = pair
    return key, document.place
