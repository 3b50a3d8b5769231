"""A machine that reads a torch state dict's pickle and can do nothing else.

A pickle is a program for a stack machine, and Python's own machine runs any
function that the program names: loading such a file is running it. This one
has the twenty-odd instructions of protocol 2 that a state dict needs (and a few
more for formats that say so), and the few names it knows stand for inert
values (`pickle_values`). Nothing is
imported, and no method is called of an object that the file describes.
Everything else is an error, at the instruction that asks for it. Every
operand's type is checked: in readers that did not, instructions applied to
values of the wrong type became memory corruption. The standard library's
`pickletools` documents the instructions.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from pyxglm.checkpoint.pickle_values import (
    STATE_DICT,
    Global,
    Names,
    OrderedDict,
    Record,
    Storage,
    TensorView,
    storage_from,
)
from pyxglm.strict_json import quoted

#: Bounds far above what the largest XGLM needs (18 thousand instructions).
STEP_LIMIT = 2_000_000
STACK_LIMIT = 200_000
MARK_LIMIT = 1_000
MEMO_LIMIT = 1_000_000
NAME_LIMIT = 4_096
STRING_LIMIT = 2**20  # fairseq's pickles hold lists of paths in one
TENSOR_LIMIT = 100_000


class Result(NamedTuple):
    """What a pickle built, where it ended, and the storages that it named, by key."""

    value: object
    end: int
    storages: dict[str, Storage]


def run(program: bytes, where: str, names: Names = STATE_DICT) -> object:
    """Run a pickle, all of it, and return the value it builds.

    Parameters
    ----------
    program
        The pickle.
    where
        What it is, for messages.
    names
        What it may mention.

    Returns
    -------
    object
        Dicts, tuples, strings, numbers, None and `TensorView`.

    Raises
    ------
    ValueError
        At the first instruction that is unknown, cut short, applied to the
        wrong type, or beyond a limit, and at every name but the known ones.
    """
    result = run_from(program, 0, where, names)
    if result.end != len(program):
        raise ValueError(f"{where}: the pickle ends with something left over (byte {result.end})")
    return result.value


def run_from(program: bytes, start: int, where: str, names: Names) -> Result:
    """Run the pickle that starts at a byte of `program`; see `run`."""
    return _Machine(program, start, where, names).run()


class _Machine:
    """The state of one run: program counter, stack, marks, memo."""

    def __init__(self, program: bytes, start: int, where: str, names: Names) -> None:
        self.program, self.where, self.at = program, where, start
        self.names = names
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}
        self.storages: dict[str, Storage] = {}
        self.tensors = 0

    def run(self) -> Result:
        for _ in range(STEP_LIMIT):
            opcode = self.take(1)
            if opcode == b".":
                break
            step = _STEPS.get(opcode)
            if step is None and opcode in self.names.instructions:
                step = _MORE_STEPS[opcode]
            if step is None:
                raise self.error(f"the pickle instruction {opcode!r} has no place in a state dict")
            step(self)
            if len(self.stack) > STACK_LIMIT or len(self.marks) > MARK_LIMIT:
                raise self.error("the pickle's stack grows too high")
        else:
            raise self.error(f"the pickle has more than {STEP_LIMIT} instructions")
        result = self.pop()
        if self.stack or self.marks:
            raise self.error("the pickle ends with something left over")
        return Result(result, self.at, self.storages)

    def error(self, message: str) -> ValueError:
        return ValueError(f"{self.where}: {message} (byte {self.at})")

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes of the program."""
        data = self.program[self.at : self.at + count]
        if len(data) != count:
            raise self.error("the pickle is cut short")
        self.at += count
        return data

    def number(self, count: int) -> int:
        """Return the next `count` bytes as an unsigned integer."""
        return int.from_bytes(self.take(count), "little")

    def line(self) -> str:
        """Return the next line: a part of a global's name."""
        end = self.program.find(b"\n", self.at, self.at + NAME_LIMIT)
        if end < 0:
            raise self.error("a name in the pickle has no end")
        text = self.take(end - self.at).decode("ascii", "backslashreplace")
        self.at += 1
        return text

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> object:
        """Take the topmost value, which must lie above the topmost mark."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise self.error("the pickle takes from an empty stack")
        return self.stack.pop()

    def pop_to_mark(self) -> tuple[object, ...]:
        """Take the topmost mark and all values above it."""
        if not self.marks:
            raise self.error("the pickle looks for a mark that it never set")
        start = self.marks.pop()
        values = tuple(self.stack[start:])
        del self.stack[start:]
        return values

    def top(self) -> object:
        """Return the topmost value and leave it there."""
        value = self.pop()
        self.push(value)
        return value

    def remember(self, index: int) -> None:
        if len(self.memo) >= MEMO_LIMIT:
            raise self.error("the pickle's memo grows too large")
        self.memo[index] = self.top()

    def recall(self, index: int) -> None:
        if index not in self.memo:
            raise self.error(f"the pickle recalls value {index}, which it never stored")
        self.push(self.memo[index])

    def string(self, length: int, encoding: str) -> None:
        if length > STRING_LIMIT:
            raise self.error(f"a string of {length} bytes, expected at most {STRING_LIMIT}")
        data = self.take(length)
        try:
            self.push(data.decode(encoding))
        except UnicodeDecodeError:
            raise self.error(f"a string that is not {encoding}") from None

    def items(self, values: tuple[object, ...]) -> None:
        """Put key, value, key, value, … into the dict on top of the stack."""
        target = self.top()
        if not isinstance(target, dict) or len(values) % 2:
            raise self.error("the pickle puts items into something that is no dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) not in self.names.keys:
                more = " or a number" if int in self.names.keys else ""
                raise self.error(f"a dict's key is a {_kind(key)}, expected a string{more}")
            target[key] = value

    def call(self) -> None:
        """REDUCE: apply one of the known functions."""
        arguments, function = self.pop(), self.pop()
        if _is_inert(function) and isinstance(arguments, tuple):
            self.push(Record(_kind(function), arguments))
            return
        maker = self.names.makers.get(function.name) if isinstance(function, Global) else None
        if maker is None or not isinstance(arguments, tuple):
            raise self.error(f"the pickle calls a {_kind(function)}, expected a known function")
        result = maker(arguments)
        if result is None:
            raise self.error(f"the arguments of {_kind(function)} are not those that torch writes")
        self.tensors += isinstance(result, TensorView)
        if self.tensors > TENSOR_LIMIT:
            raise self.error(f"the pickle makes more than {TENSOR_LIMIT} tensors")
        self.push(result)

    def build(self) -> None:
        """BUILD: give an OrderedDict its attributes (torch's `_metadata`), which nobody needs."""
        state, target = self.pop(), self.top()
        if isinstance(target, Record):
            target.state = state
        elif not isinstance(target, OrderedDict) or not isinstance(state, dict):
            raise self.error(f"the pickle sets attributes of a {_kind(target)}")

    def find_global(self) -> None:
        module, name = self.line(), self.line()
        known = self.names.globals.get(f"{module} {name}")
        if known is None and module.partition(".")[0] in self.names.inert_modules:
            known = Global(f"{module}.{name}", inert=True)
        if known is None:
            raise self.error(
                f"the pickle names {quoted(f'{module}.{name}')}, which no state dict needs: "
                "it may run code, and is not trusted"
            )
        self.push(known)

    def find_storage(self) -> None:
        """BINPERSID: ("storage", type, key, location, numel) stands for a member's data."""
        storage = storage_from(self.pop())
        if storage is None:
            raise self.error("the pickle refers to something that is no storage")
        if self.storages.setdefault(storage.key, storage) != storage:
            raise self.error(f"the storage {quoted(storage.key)} is described in two ways")
        self.push(storage)


def _is_inert(value: object) -> bool:
    return isinstance(value, Global) and value.inert


def _kind(value: object) -> str:
    """Name a value for messages without printing what may be large."""
    return value.name if isinstance(value, Global) else type(value).__name__


def _protocol(machine: _Machine) -> None:
    version = machine.number(1)
    if version != 2:
        raise machine.error(f"pickle protocol {version}, expected 2, which torch writes")


def _last(count: int) -> Callable[[_Machine], None]:
    """Return the instruction that makes a tuple of the last `count` values."""

    def step(machine: _Machine) -> None:
        values = [machine.pop() for _ in range(count)]
        machine.push(tuple(reversed(values)))

    return step


def _long(machine: _Machine) -> None:
    machine.push(int.from_bytes(machine.take(machine.number(1)), "little", signed=True))


_STEPS: dict[bytes, Callable[[_Machine], None]] = {
    b"\x80": _protocol,
    b"c": _Machine.find_global,
    b"(": lambda machine: machine.marks.append(len(machine.stack)),
    b"N": lambda machine: machine.push(None),
    b"\x88": lambda machine: machine.push(True),
    b"\x89": lambda machine: machine.push(False),
    b"K": lambda machine: machine.push(machine.number(1)),
    b"M": lambda machine: machine.push(machine.number(2)),
    b"J": lambda machine: machine.push(int.from_bytes(machine.take(4), "little", signed=True)),
    b"\x8a": _long,
    b"X": lambda machine: machine.string(machine.number(4), "utf-8"),
    b"U": lambda machine: machine.string(machine.number(1), "ascii"),
    b"}": lambda machine: machine.push({}),
    b")": lambda machine: machine.push(()),
    b"t": lambda machine: machine.push(machine.pop_to_mark()),
    b"\x85": _last(1),
    b"\x86": _last(2),
    b"\x87": _last(3),
    b"q": lambda machine: machine.remember(machine.number(1)),
    b"r": lambda machine: machine.remember(machine.number(4)),
    b"h": lambda machine: machine.recall(machine.number(1)),
    b"j": lambda machine: machine.recall(machine.number(4)),
    b"s": lambda machine: machine.items((machine.pop(), machine.pop())[::-1]),
    b"u": lambda machine: machine.items(machine.pop_to_mark()),
    b"Q": _Machine.find_storage,
    b"R": _Machine.call,
    b"b": _Machine.build,
}


def _append(machine: _Machine, values: tuple[object, ...]) -> None:
    """APPEND, APPENDS: put values at the end of the list on top of the stack."""
    target = machine.top()
    if type(target) is not list:
        raise machine.error(f"the pickle appends to a {_kind(target)}, expected a list")
    target.extend(values)


def _new_object(machine: _Machine) -> None:
    """NEWOBJ: make a record of what an inert class was called with."""
    if not _is_inert(machine.stack[-2] if len(machine.stack) > 1 else None):
        raise machine.error("the pickle makes an object of an unknown class")
    machine.call()


def _float(machine: _Machine) -> None:
    machine.push(struct.unpack(">d", machine.take(8))[0])


#: Instructions that only the formats whose `Names` list them have.
_MORE_STEPS: dict[bytes, Callable[[_Machine], None]] = {
    b"]": lambda machine: machine.push([]),
    b"a": lambda machine: _append(machine, (machine.pop(),)),
    b"e": lambda machine: _append(machine, machine.pop_to_mark()),
    b"G": _float,
    b"\x81": _new_object,
}
