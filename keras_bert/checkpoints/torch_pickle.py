"""The pickles in PyTorch's files, interpreted as data: no import, no call, nothing is ever unpickled.

A pickle is a program for a small stack machine; what makes it dangerous are the opcodes that import a name
and call it. `Pickles` runs the program on a machine of its own, in which a name is only a name: the few that
rebuild a tensor yield a `Tensor`, which says where its numbers lie, and any other is refused.
The standard library's `pickletools.genops` does no more than split the bytes into opcodes.
"""

import pickletools
from collections.abc import Iterable
from typing import BinaryIO, NoReturn

from keras_bert.checkpoints import torch_objects as objects
from keras_bert.checkpoints.json_text import quoted
from keras_bert.checkpoints.torch_objects import Name, Storage
from keras_bert.errors import CheckpointError

# A tensor takes about 200 bytes and 35 opcodes, and BERT-large with its optimizer's state has 1,200 tensors.
# Both bounds also bound the memory that a hostile pickle can claim: an opcode yields up to 150 bytes.
MAX_PICKLE_BYTES = 2 * 2**20
MAX_OPCODES = 200_000
# Longer than any number in an honest file (the longest is torch's magic number), shorter than what is slow.
_MAX_INTEGER_BITS = 256
# Integers as dict keys are the optimizer's parameter numbers; without a limit they could be made to collide.
_MAX_INTEGER_KEY = 2**31

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = {
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
    "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES",
}  # fmt: skip
_EMPTY = {"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_NO_EFFECT = {"PROTO", "FRAME"}


class Pickles:
    """The pickles of one file, which may stand one after the other.

    Args:
        stream: binary file in memory, of at most MAX_PICKLE_BYTES.
        where: str. The file, for the message.
    """

    def __init__(self, stream: BinaryIO, where: str):
        self._stream, self._where = stream, where
        self._opcodes_left = MAX_OPCODES
        self.storages: dict[str, Storage] = {}  # by key, of all pickles so far

    def next(self):
        """Interprets the pickle at the stream's position, and leaves the stream behind it.

        Returns:
            The value it stands for, built of dict, list, tuple, str, bytes, numbers, None, Name, Storage and
            Tensor alone. Its dicts have keys of str and int; it may hold itself.

        Raises:
            CheckpointError: a damaged pickle, or one that asks for anything but tensors and plain values.
        """
        machine = _Machine(self._where, self.storages)
        try:
            for opcode, argument, position in pickletools.genops(self._stream):
                machine.position = position
                self._opcodes_left -= 1
                if self._opcodes_left < 0:
                    machine.refuse(f"has more than {MAX_OPCODES} opcodes", "the pickle of a model's weights")
                machine.step(opcode.name, argument)
        except CheckpointError:
            raise
        except (ValueError, Warning) as cause:  # genops' own; it warns of escapes, which may be set to raise
            machine.refuse(f"is damaged: {str(cause)[:200]}")
        return machine.result()


class _Machine:
    """The stack, the memo and what each opcode does with them."""

    def __init__(self, where: str, storages: dict[str, Storage]):
        self.where, self.storages = where, storages
        self.position = 0
        self.stack, self.below, self.memo = [], [], {}  # `below`: the stacks under the open marks

    def refuse(
        self, what: str, expected: str = "", remedy: str = "copy or download the file again"
    ) -> NoReturn:
        raise CheckpointError(
            f"The pickle in it, at byte {self.position}, {what}",
            where=self.where,
            expected=expected,
            remedy=remedy,
        ) from None

    def result(self):
        if self.below or len(self.stack) != 1:
            self.refuse("ends with values left over", "one value")
        return self.stack[0]

    def step(self, opcode: str, argument):
        """One opcode. Those that real files are full of come first."""
        if opcode in _LITERALS:
            if type(argument) is int and argument.bit_length() > _MAX_INTEGER_BITS:
                self.refuse(f"has a number of {argument.bit_length()} bits")
            self._push(argument)
        elif opcode in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._remember(len(self.memo) if opcode == "MEMOIZE" else argument)
        elif opcode in ("BINGET", "LONG_BINGET"):
            if argument not in self.memo:
                self.refuse(f"recalls number {argument}, which was never remembered")
            self._push(self.memo[argument])
        elif opcode == "MARK":
            self.below.append(self.stack)
            self.stack = []
        elif opcode == "TUPLE":
            self._push(tuple(self._since_mark()))
        elif opcode in _TUPLES:
            self._push(tuple(self._take(_TUPLES[opcode])))
        elif opcode in _EMPTY:
            self._push(_EMPTY[opcode]())
        elif opcode in _CONSTANTS:
            self._push(_CONSTANTS[opcode])
        elif opcode in ("SETITEM", "SETITEMS"):
            self._set(self._since_mark() if opcode == "SETITEMS" else self._take(2))
        elif opcode in ("APPEND", "APPENDS"):
            values = self._since_mark() if opcode == "APPENDS" else self._take(1)
            self._top(list).extend(values)
        elif opcode == "GLOBAL":
            self._name(*argument.split(" ", 1))
        elif opcode == "STACK_GLOBAL":
            self._name(*self._take(2))
        elif opcode == "BINPERSID":
            self._push(self._storage(*self._take(1)))
        elif opcode == "REDUCE":
            self._push(self._call(*self._take(2)))
        elif opcode == "BUILD":
            # An attribute of the object below, such as the `_metadata` of a state_dict: of no use here.
            self._take(1)
            self._top(dict)
        elif opcode not in _NO_EFFECT and opcode != "STOP":
            self.refuse(f"uses the opcode {opcode}", objects.PLAIN_VALUES, objects.NOT_RUN)

    def _push(self, value):
        self.stack.append(value)

    def _take(self, count: int) -> list:
        """The topmost values, taken off the stack."""
        if len(self.stack) < count:
            self.refuse("takes from an empty stack")
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def _since_mark(self) -> list:
        if not self.below:
            self.refuse("has no mark where it takes everything since one")
        values, self.stack = self.stack, self.below.pop()
        return values

    def _top(self, kind: type):
        """The topmost value, left on the stack; it must be of this type."""
        if not self.stack or type(self.stack[-1]) is not kind:
            self.refuse(f"adds to something that is no {kind.__name__}")
        return self.stack[-1]

    def _remember(self, index: int):
        if not self.stack or not 0 <= index < MAX_OPCODES:
            self.refuse(f"remembers what is not there, as number {index}")
        self.memo[index] = self.stack[-1]

    def _set(self, items: list):
        if len(items) % 2:
            self.refuse("has a key without a value")
        self._fill(self._top(dict), zip(items[::2], items[1::2], strict=True))

    def _fill(self, target: dict, pairs: Iterable):
        for key, value in pairs:
            if type(key) is not str and not (type(key) is int and abs(key) < _MAX_INTEGER_KEY):
                self.refuse(f"has the key {quoted(key)}", "text or a small number")
            if key in target:
                self.refuse(f"has the key {quoted(key)} twice")
            target[key] = value

    def _name(self, module, name):
        if type(module) is not str or type(name) is not str:
            self.refuse("asks for a name that is no text")
        objects.check_name(f"{module}.{name}", self.refuse)
        self._push(Name(f"{module}.{name}"))

    def _storage(self, identifier) -> Storage:
        storage = objects.storage_from(identifier, self.refuse)
        if self.storages.setdefault(storage.key, storage) != storage:
            self.refuse(f"describes the storage {quoted(storage.key)} in two ways")
        return storage

    def _call(self, function, arguments):
        """What a call stands for, where it is allowed."""
        if type(function) is not Name or type(arguments) is not tuple:
            self.refuse("calls what is no name")
        if objects.rebuilds(function.dotted):
            return objects.tensor_from(function.dotted, arguments, self.refuse)
        if function.dotted == objects.DICT:
            return self._ordered_dict(arguments)
        if function.dotted not in objects.INERT_CALLS:
            self.refuse(f"calls {function.dotted}", objects.PLAIN_VALUES, objects.NOT_RUN)
        return function

    def _ordered_dict(self, arguments: tuple) -> dict:
        """Empty, to be filled later; Python 2 gives the pairs at once, as one list of lists."""
        result = {}
        if arguments:
            pairs = arguments[0]
            if type(pairs) is not list or any(type(p) not in (list, tuple) or len(p) != 2 for p in pairs):
                self.refuse("makes an OrderedDict of something else than pairs")
            self._fill(result, pairs)
            pairs.clear()  # so that a list costs its length once, however often it is recalled
        return result
