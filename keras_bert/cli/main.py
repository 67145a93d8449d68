"""`keras-bert VERB --flag=value`: finds the verb, parses its flags, turns errors into exit codes.

Exit codes: 0 done; 2 the user's input is at fault, with one message; 75 stopped by a signal or with another
worker, and the same command goes on from there; 1 a fault of ours, with a traceback.
"""

import gc
import importlib
import os
import sys
import traceback
import warnings

# The line of each verb in `--help`; the verbs' modules are imported only when they run.
VERBS = {
    "quickstart": "real weights to a served answer in one command, on bundled or your own sentences",
    "vocabulary": "learn the pieces of a vocab.txt from your texts, measured on held-out ones",
    "corpus": "turn raw text into pretraining records, in constant memory on every core",
    "pretrain": "train a BERT on such records, from random weights or a checkpoint; resumes exactly",
    "finetune": "train a task on your file, save a folder that transformers and kb.load open",
    "evaluate": "score a model on a labelled file",
    "predict": "answer a text, a file, or lines of standard input",
    "search": "find the texts of a file that mean what a query says, or decline",
    "export": "write a SavedModel for TF Serving or a .tflite file, read back before it is published",
    "convert": "rewrite a checkpoint for transformers, Google's TensorFlow 1 code, or keras-hub",
    "check": "say what is wrong with a labelled data set, in seconds, without TensorFlow",
    "inspect": "say what a model folder is and whether it would load, without TensorFlow",
}
STOPPED = 75  # EX_TEMPFAIL of sysexits.h: schedulers take it for "start it again"


def main(argv=None) -> int:
    """Runs one verb; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(_overview())
        return 0
    if arguments[0] == "--version":
        from keras_bert import __version__

        print(__version__)
        return 0
    verb, *rest = arguments
    if verb not in VERBS:
        print(f"keras-bert: there is no verb {verb!r}. Verbs: {', '.join(VERBS)}.", file=sys.stderr)
        return 2
    return _run(verb, rest)


def _run(verb, rest) -> int:
    from absl import flags

    from keras_bert.errors import Interrupted, KerasBertError

    module = importlib.import_module(f"keras_bert.cli.{verb}")
    values = flags.FlagValues()  # held per verb: two verbs may have one flag with two defaults
    module.define(values)
    code, formatted = 0, warnings.formatwarning
    warnings.formatwarning = _as_one_message(verb, formatted)
    try:
        if {"--help", "-help", "-h"} & set(rest):
            print(_verb_help(verb, module, values), flush=True)
            return 0
        positional = values([f"keras-bert {verb}", *rest])[1:]
        _check_positional(module, positional)
        _check_required(module, values)
        module.run(values, positional)
    except flags.Error as error:
        print(f"keras-bert {verb}: {error}\nSee keras-bert {verb} --help.", file=sys.stderr)
        return 2
    except Interrupted as error:
        print(f"keras-bert {verb}: {error}", file=sys.stderr)
        code = STOPPED
    except KerasBertError as error:
        print(f"keras-bert {verb}: {error}", file=sys.stderr)
        code = 2
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print(f"\nkeras-bert {verb}: interrupted.", file=sys.stderr)
        return 130
    except Exception:  # a fault of ours; Python would print the same
        traceback.print_exc()
        code = 1
    finally:
        warnings.formatwarning = formatted
    if code:
        # The error is gone, and with it the frames that held the data's iterator: were it to live until
        # Python itself ends, TensorFlow would wait for ever for a batch that a Python generator was making.
        gc.collect()
    return code


def _as_one_message(verb, formatted):
    """How our warnings are printed: as errors are, without the line of code; others as `formatted` does."""

    def message_of(message, category, *where, **line):
        if category is UserWarning:
            return f"keras-bert {verb}: warning: {message}\n"
        return formatted(message, category, *where, **line)

    return message_of


def _check_positional(module, positional):
    """Refuses what stands without a flag, such as the further files of a pattern that the shell expanded."""
    from keras_bert.errors import UsageError

    most = getattr(module, "MOST_POSITIONAL", 0)
    if len(positional) > most:
        raise UsageError(
            f"{positional[most]!r} stands without a flag", expected="--flag=value, one file a flag",
            remedy="several files are to be joined, or named one by one where the flag's help says so; "
            "--no<flag> says no",
        )  # fmt: skip


def _check_required(module, values):
    from keras_bert.errors import UsageError

    missing = [f"--{name}" for name in getattr(module, "REQUIRED", ()) if not values[name].value]
    if missing:
        raise UsageError(f"{' and '.join(missing)} must be given", expected=f"{missing[0]}=...")


def _overview() -> str:
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {summary}" for verb, summary in VERBS.items()]
    return "\n".join(
        ["usage: keras-bert VERB --flag=value ...", "", *lines, "", "keras-bert VERB --help lists its flags."]
    )


def _verb_help(verb, module, values) -> str:
    lines = [f"usage: keras-bert {verb} --flag=value ...", "", module.__doc__.strip(), ""]
    required = getattr(module, "REQUIRED", ())
    for name in sorted(values, key=lambda name: (name not in required, name)):
        flag = values[name]
        default = "" if flag.default is None else f" (default: {flag.default_as_str.strip(chr(39))})"
        lines.append(f"  --{name}  {flag.help}{' (required)' if name in required else default}")
    return "\n".join(lines)
