"""The errors a user can cause: each says what, where, what was expected, what to do.

Library code raises these; the command line prints the one message and ends with exit code 2. They derive
from the built-in types that Python callers already catch.
"""

# What stands in a hostile file may be megabytes long.
_MAX_CHARACTERS = 1000


class KerasBertError(Exception):
    """Base of every error the user's input can cause.

    Args:
        what: str. What is wrong, in one sentence, without a full stop.
        where: str. File, `file:line`, column, tensor or argument it was found in.
        expected: str. What was expected there.
        remedy: str. What to do about it.
    """

    def __init__(self, what: str, *, where: str = "", expected: str = "", remedy: str = ""):
        what, where, expected, remedy = map(_shortened, (what, where, expected, remedy))
        self.what, self.where, self.expected, self.remedy = what, where, expected, remedy
        parts = [f"{where}: {what}" if where else what]
        if expected:
            parts.append(f"Expected: {expected}")
        if remedy:
            parts.append(f"To fix: {remedy}")
        super().__init__(". ".join(part.rstrip(".") for part in parts) + ".")


def _shortened(part: str) -> str:
    if len(part) <= _MAX_CHARACTERS:
        return part
    half = _MAX_CHARACTERS // 2
    return f"{part[:half]} ... ({len(part)} characters) ... {part[-half:]}"


class ConfigError(KerasBertError, ValueError):
    """A configuration that is not a BERT, or does not fit its weights."""


class DataError(KerasBertError, ValueError):
    """Training, evaluation or prediction input that cannot be used as it stands."""


class CheckpointError(KerasBertError, ValueError):
    """A model folder or weight file that is missing, damaged, or not what it says."""


class VocabularyError(KerasBertError, ValueError):
    """A vocabulary file that is ambiguous, damaged, or another model's."""


class OutputError(KerasBertError, OSError):
    """An output that cannot be written: no permission, disk full, or not ours to replace."""


class ExportError(KerasBertError, RuntimeError):
    """An export that was refused, or whose read-back differs from the model."""


class MissingExtraError(KerasBertError, ImportError):
    """A feature whose optional package is not installed."""


class UsageError(KerasBertError, ValueError):
    """A command line or argument that asks for something that does not exist."""


class TrainingError(KerasBertError, RuntimeError):
    """A training run that cannot go on, such as a loss that is no longer finite."""


class Interrupted(KerasBertError):
    """A run that was stopped from outside, and goes on when the same command is started again.

    The command line prints the message and ends with exit code 75.
    """
