"""Everything of the user's that can be wrong ends with exit code 2, one message, and nothing half-written.

A message says what, where, what was expected and what to do; the fragments are what each must contain.
"""

import json
import resource
import shutil
import subprocess
import sys

import pytest

from keras_bert.cli.main import main


def train_on(folder, text, name="train.tsv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


GOOD = "text\tlabel\nthe film was good .\tpositive\nthe film was bad .\tnegative\n"


def unknown_column(case):
    case["--train_file"] = train_on(case.folder, "sentence_x\tlabel\na\tb\n")
    return "sentence_x", "train.tsv", "--text_column"


def named_column_is_not_there(case):
    case["--text_column"] = "review"
    return "review", "train.tsv:1", "'text', 'label'", "--text_column"


def ragged_row(case):
    case["--train_file"] = train_on(case.folder, GOOD + "only one field\n")
    return "train.tsv:4", "2"


def unknown_label(case):
    case["--labels"] = "positive,neutral"
    return "Unknown label 'negative'", "train.tsv:3", "'positive', 'neutral'", "--labels"


def unknown_label_in_the_evaluation_file(case):
    case["--eval_file"] = train_on(case.folder, GOOD + "it was slow .\tmixed\n", "eval.tsv")
    return "Unknown label 'mixed'", "eval.tsv:4", "'negative', 'positive'"


def one_class_only(case):
    case["--train_file"] = train_on(case.folder, "text\tlabel\na film\tgood\nthe film\tgood\n")
    return "two classes or more", "there is 1", "--labels"


def row_without_label(case):
    case["--train_file"] = train_on(case.folder, GOOD + "it was slow .\t\n")
    return "train.tsv:4", "label"


def weight_that_is_no_number(case):
    case["--train_file"] = train_on(case.folder, "text\tlabel\tweight\na\tx\t1\nthe\ty\theavy\n")
    return "'heavy'", "train.tsv:3", "a number"


def empty_file(case):
    case["--train_file"] = train_on(case.folder, "")
    return "train.tsv", "There are no rows"


def header_only(case):
    case["--train_file"] = train_on(case.folder, "text\tlabel\n")
    return ("train.tsv",)


def gbk_read_as_utf8(case):
    text = "text\tlabel\n这部电影很好看，我非常喜欢\t好\n难看，浪费时间\t坏\n"
    case["--train_file"] = train_on(case.folder, text, encoding="gbk")
    return "train.tsv:2", "not valid utf-8", "--encoding=gb18030"


def encoding_that_does_not_exist(case):
    case["--encoding"] = "utf-9"
    return ("utf-9",)


def binary_file(case):
    path = case.folder / "train.tsv"
    path.write_bytes(b"\x00\x01\x02\x03" * 100)
    case["--train_file"] = path
    return ("train.tsv",)


def no_such_file(case):
    case["--train_file"] = case.folder / "nowhere.tsv"
    return "There is no such file", "--train_file", "nowhere.tsv"


def two_files_of_one_name(case):
    case["--train_file"] = f"a={train_on(case.folder, GOOD)},a={train_on(case.folder, GOOD)}"
    return "gives no new name", "--train_file", "NAME=FILE"


def files_of_parts_for_a_task_without(case):
    case["--train_file"] = f"a={train_on(case.folder, GOOD)},b={train_on(case.folder, GOOD)}"
    return "classification", "no parts", "one file"


def longer_than_the_position_table(case):
    case["--max_seq_length"] = "64"
    return "position table", "max_length=64", "max_sequence_length=32", "--max_seq_length"


def no_room_for_text(case):
    case["--max_seq_length"] = "2"
    return "--max_seq_length=2", "3 or more"


def vocabulary_of_another_model(case):
    vocabulary = case.copy_model() / "vocab.txt"
    vocabulary.write_text(vocabulary.read_text() + "".join(f"piece{i}\n" for i in range(50)))
    return "vocabulary is another model's", "76 pieces", "vocabulary_size=26"


def cut_safetensors(case):
    path = case.copy_model() / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    return "model.safetensors", "bytes"


def altered_safetensors(case):
    path = case.copy_model() / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    return "model.safetensors", "copy or download the folder again"


def config_that_does_not_fit(case):
    path = case.copy_model() / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "intermediate_size": 48}))
    return "intermediate", "48", "32"


def config_that_is_no_json(case):
    (case.copy_model() / "config.json").write_text("{")
    return ("config.json",)


def another_architecture(case):
    path = case.copy_model() / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_type": "roberta"}))
    return "roberta", "bert"


def no_vocabulary(case):
    (case.copy_model() / "vocab.txt").unlink()
    return ("vocab.txt",)


def no_model_folder(case):
    case["--model_dir"] = case.folder / "nowhere"
    return ("nowhere",)


def output_under_a_file(case):
    (case.folder / "file").write_text("")
    case["--output_dir"] = case.folder / "file" / "model"
    return "cannot be written", "model"


def output_of_somebody_else(case):
    case.output.mkdir()
    (case.output / "thesis.txt").write_text("ten years of work")
    return ("out",)


def two_starts(case):
    case["--preset"] = "tiny"
    return "--model_dir", "--preset"


def unknown_flag(case):
    case["--learning_rates"] = "1"
    return "learning_rates", "--help"


def disk_full(case):
    case.file_size_limit = 4096
    return "cannot be written", "File too large"


BAD = [value for value in list(globals().values()) if callable(value) and value.__module__ == __name__]
BAD = [case for case in BAD if case.__name__ not in ("train_on",)]


class Case(dict):
    """Flags of a `finetune` that would succeed, for a row to spoil."""

    def __init__(self, folder, model, rows_file):
        super().__init__()
        self.folder, self.model, self.output = folder, model, folder / "out"
        self.file_size_limit = None
        self.update({
            "--model_dir": model, "--train_file": rows_file, "--output_dir": self.output,
            "--num_train_epochs": "1", "--train_batch_size": "8", "--max_seq_length": "16",
        })  # fmt: skip

    def copy_model(self):
        self["--model_dir"] = shutil.copytree(self.model, self.folder / "copy")
        return self["--model_dir"]

    def run(self):
        return main(["finetune", *(f"{flag}={value}" for flag, value in self.items())])


@pytest.fixture
def file_size_limit():
    """Sets a limit that makes every larger write fail, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_bad_input_gets_one_message_and_loses_nothing(
    spoil, tmp_path, tiny_model, rows_file, capsys, file_size_limit
):
    case = Case(tmp_path, tiny_model, rows_file)
    fragments = spoil(case)
    before = snapshot(tmp_path)
    if case.file_size_limit:
        file_size_limit(case.file_size_limit)
    code = case.run()
    message = capsys.readouterr().err
    message = "\n".join(
        line for line in message.splitlines() if not line.startswith(("epoch ", "training on "))
    )
    assert code == 2, message
    assert message.startswith("keras-bert finetune: ")
    assert len(message.strip().splitlines()) <= 2, message
    for fragment in fragments:
        assert fragment in message
    assert snapshot(tmp_path) == before


def snapshot(folder):
    return {path: path.is_file() and path.read_bytes() for path in sorted(folder.rglob("*"))}


@pytest.mark.slow  # the straight line is the quick test of a run that succeeds
def test_a_case_that_nobody_spoils_succeeds(tmp_path, tiny_model, rows_file, capsys):
    case = Case(tmp_path, tiny_model, rows_file)
    assert case.run() == 0, capsys.readouterr().err
    assert (case.output / "model.safetensors").is_file()


def test_a_warning_of_ours_is_one_message_without_the_line_of_code_that_gave_it():
    script = (
        "import sys, warnings; from keras_bert.cli import inspect, main; inspect.REQUIRED = ()\n"
        "def run(values, positional):\n"
        "    warnings.warn('the moon is full'); warnings.warn('an overflow', RuntimeWarning)\n"
        "inspect.run = run; sys.exit(main.main(['inspect']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    ours, theirs = done.stderr.splitlines()[:2]
    assert done.returncode == 0 and ours == "keras-bert inspect: warning: the moon is full"
    assert theirs.endswith("RuntimeWarning: an overflow") and theirs.startswith("<string>:3")
