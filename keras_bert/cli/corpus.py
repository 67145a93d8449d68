"""Builds pretraining records from raw text: sharded TFRecords with a manifest, on every core.

--input_file names files, folders and patterns, several between commas: .txt with a sentence a line and a
blank line after each document (--sentences=text for running text), .jsonl with one document an object;
plain, .gz, .xz or .zst. Masks are drawn when the records are read, new ones every epoch; --masking=static
writes them, as Google's script did, and --format=google in its features. Interrupted, the same command goes
on where it stopped. The last line printed is one JSON object.
"""

import dataclasses

from absl import flags

from keras_bert.corpus.documents import SENTENCES
from keras_bert.corpus.settings import FORMATS, MASKINGS, CorpusSettings

REQUIRED = ("input_file", "vocab_file", "output_dir")


def define(values):
    """The flags of `corpus`; those of the settings have their defaults."""
    flags.DEFINE_string("input_file", None, "raw text", flag_values=values)
    flags.DEFINE_string("vocab_file", None, "vocab.txt, or a model folder with one", flag_values=values)
    flags.DEFINE_string("output_dir", None, "folder to write", flag_values=values)
    flags.DEFINE_bool("do_lower_case", None, "lower-case the text", flag_values=values)
    flags.DEFINE_integer(
        "num_workers", None, "processes; without it one for each core", 1, flag_values=values
    )
    flags.DEFINE_string(
        "runner", None, "Apache Beam's, such as DirectRunner, in place of our processes", flag_values=values
    )
    flags.DEFINE_list("runner_options", [], "flags for Beam, between commas", flag_values=values)
    default = CorpusSettings()
    for name, help_text in (
        ("max_seq_length", "longest example in pieces, [CLS] and [SEP] included"),
        ("max_predictions_per_seq", "masked pieces of an example at most"),
        ("dupe_factor", "how often a document is paired anew; 1, with static masks 10"),
        ("max_ngram", "mask up to so many words in a row together"),
        ("num_shards", "files to write; without it one for every 16 MB of text"),
        ("random_seed", "the same seed gives the same bytes"),
    ):
        flags.DEFINE_integer(name, getattr(default, name), help_text, flag_values=values)
    flags.DEFINE_float("masked_lm_prob", default.masked_lm_prob, "share of masked pieces", flag_values=values)
    flags.DEFINE_float(
        "short_seq_prob", default.short_seq_prob, "share of examples made shorter", flag_values=values
    )
    flags.DEFINE_bool("next_sentence", True, "make pairs of sentences, else single texts", flag_values=values)
    flags.DEFINE_bool("do_whole_word_mask", False, "mask whole words", flag_values=values)
    flags.DEFINE_enum("masking", "dynamic", MASKINGS, "when the masks are drawn", flag_values=values)
    flags.DEFINE_enum("format", "keras_bert", FORMATS, "features of the records", flag_values=values)
    flags.DEFINE_enum("sentences", "auto", SENTENCES, "what a line of text is", flag_values=values)
    flags.DEFINE_string(
        "chinese_words",
        None,
        "jieba, or a file with a word a line: whole words in Chinese",
        flag_values=values,
    )
    flags.DEFINE_string("text_column", "text", "field of the text in .jsonl files", flag_values=values)
    flags.DEFINE_string("encoding", None, "of the files; without it UTF-8", flag_values=values)


def run(values, positional):
    """Builds, prints."""
    import json
    import pathlib

    from keras_bert.corpus.build import build_corpus
    from keras_bert.reports.stream_progress import StreamProgress
    from keras_bert.reports.tables import render
    from keras_bert.text.tokenizer import Tokenizer

    names = [field.name for field in dataclasses.fields(CorpusSettings)]
    given = {name: values[name].value for name in names}
    if given["format"] == "google" and not values["masking"].present:
        given["masking"] = "static"
    settings = CorpusSettings(**given)
    path = pathlib.Path(values.vocab_file)
    if path.is_dir():
        tokenizer = Tokenizer.from_folder(path, values.do_lower_case)
    else:
        tokenizer = Tokenizer(path, lowercase=values.do_lower_case is not False)
    with StreamProgress() as progress:
        manifest = build_corpus(
            values.input_file,
            values.output_dir,
            tokenizer,
            settings,
            num_workers=values.num_workers,
            progress=progress,
            runner=values.runner,
            runner_options=values.runner_options,
        )
    counts = manifest.counts
    rows = [(name.replace("_", " "), f"{count:,}") for name, count in counts.items()]
    rows.append(("shards", f"{len(manifest.shards):,}"))
    print(render(["corpus", values.output_dir], rows))
    print(json.dumps({**counts, "shards": len(manifest.shards)}))
