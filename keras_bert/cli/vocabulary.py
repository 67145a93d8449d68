"""Learns a WordPiece vocabulary from text files and measures it on held-out texts.

--input_file names files, folders and patterns, several between commas: .txt with one text a line, .jsonl with
objects whose --text_column holds a text or a list of texts; plain, .gz or .xz. Where --output_file is called
vocab.txt, tokenizer_config.json is written beside it, so that the folder opens as a tokeniser. The last line
printed is one JSON object.
"""

from absl import flags

from keras_bert.cli import options

REQUIRED = ("input_file", "output_file")


def define(values):
    """The flags of `vocabulary`."""
    flags.DEFINE_string("input_file", None, "texts to learn from", flag_values=values)
    flags.DEFINE_string("output_file", None, "vocab.txt to write", flag_values=values)
    flags.DEFINE_string(
        "eval_file", None, "texts to measure on; without it a hundredth of the input", flag_values=values
    )
    flags.DEFINE_integer(
        "vocab_size", 30_000, "pieces, special tokens included", lower_bound=1, flag_values=values
    )
    flags.DEFINE_bool("do_lower_case", True, "lower-case the text and strip accents", flag_values=values)
    flags.DEFINE_integer(
        "min_frequency", 2, "pairs of pieces seen less often are not merged", 1, flag_values=values
    )
    flags.DEFINE_integer(
        "limit_alphabet", None, "characters to keep; without it by coverage", 1, flag_values=values
    )
    flags.DEFINE_integer("num_unused", 0, "[unused..] slots; 994 is Google's layout", 0, flag_values=values)
    flags.DEFINE_string("text_column", "text", "field of the texts in .jsonl files", flag_values=values)
    flags.DEFINE_string(
        "encoding", None, "of the files, such as gb18030; without it UTF-8", flag_values=values
    )
    flags.DEFINE_integer(
        "num_workers", None, "processes; without it one for each core", lower_bound=1, flag_values=values
    )
    flags.DEFINE_integer("random_seed", 0, "decides which texts are held out", 0, flag_values=values)


def run(values, positional):
    """Learns, writes, prints."""
    from keras_bert.files.atomic import atomic_file
    from keras_bert.files.processes import num_cores
    from keras_bert.files.text_streams import TextFiles
    from keras_bert.reports.stream_progress import StreamProgress
    from keras_bert.text.learn import learn_vocabulary

    reading = {"column": values.text_column, "encoding": values.encoding}
    files = TextFiles(values.input_file, **reading)
    evaluation = TextFiles(values.eval_file, **reading) if values.eval_file else None
    options.check_outputs(values, ("output_file",), files.paths + (evaluation.paths if evaluation else []))
    with atomic_file(values.output_file) as stage, StreamProgress() as bar:

        def progress(name, done, total):
            if total is None:  # how many texts there are is not known, but how many bytes
                done, total = (sum(parts) for parts in zip(*map(_bytes, (files, evaluation)), strict=True))
            bar(name, done, total, unit="MB" if name == "counting" else "million words", scale=1e6)

        vocabulary, report = learn_vocabulary(
            files.texts(),
            values.vocab_size,
            lowercase=values.do_lower_case,
            min_frequency=values.min_frequency,
            limit_alphabet=values.limit_alphabet,
            num_unused=values.num_unused,
            eval_texts=evaluation.texts() if evaluation else None,
            seed=values.random_seed,
            num_workers=values.num_workers or num_cores(),
            progress=progress,
        )
        vocabulary.save(stage)
        _write_settings(vocabulary, values)
    _print(report, values.output_file)


def _bytes(files) -> tuple[int, int]:
    """Read, and all."""
    return (files.num_bytes_read, files.num_bytes) if files else (0, 0)


def _write_settings(vocabulary, values):
    """Writes beside a vocab.txt how texts are cut into its pieces."""
    import pathlib
    import tempfile

    from keras_bert.files.atomic import atomic_file
    from keras_bert.text.settings import CONFIG_FILE, VOCABULARY_FILE
    from keras_bert.text.tokenizer import Tokenizer

    path = pathlib.Path(values.output_file)
    if path.name != VOCABULARY_FILE:
        return
    with tempfile.TemporaryDirectory() as folder, atomic_file(path.with_name(CONFIG_FILE)) as stage:
        Tokenizer(vocabulary, lowercase=values.do_lower_case).save(folder)
        stage.write_bytes(pathlib.Path(folder, CONFIG_FILE).read_bytes())


def _print(report, path):
    """The report as a table, and as one JSON object."""
    import dataclasses
    import json

    from keras_bert.reports.tables import render

    report = dataclasses.asdict(report)
    forms = {int: "{:,}".format, float: "{:.5f}".format, type(None): lambda _: "no text was held out"}
    rows = [(name.replace("_", " "), forms[type(value)](value)) for name, value in report.items()]
    print(render(["learnt", path], rows))
    print(json.dumps(report))
