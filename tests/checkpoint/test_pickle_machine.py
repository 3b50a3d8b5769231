"""The pickle machine: it builds what torch writes, and nothing else, whatever it is given."""

import collections
import contextlib
import io
import os
import pickle
import pickletools
import struct

import numpy as np
import pytest
from checkpoint.build import ORDERED, integer, name, state_dict, storage, tensor, text, tuple_of
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm.checkpoint import pickle_machine
from pyxglm.checkpoint.pickle_machine import run
from pyxglm.checkpoint.pickle_values import GLOBALS, OrderedDict, Storage, TensorView

HALF = np.dtype("<f2")
STORAGE = storage(HALF, "0", 12)
TENSOR = tensor(STORAGE, (3, 4), (4, 1))


def program(body):
    return b"\x80\x02" + body + b"."


def test_a_state_dict():
    result = run(state_dict({"a": TENSOR, "b": tensor(STORAGE, (2,), (1,), 7)}), "x")
    same = Storage("0", HALF, 12)
    assert result == {
        "a": TensorView(same, 0, (3, 4), (4, 1)),
        "b": TensorView(same, 7, (2,), (1,)),
    }


def test_an_ordered_state_dict_with_metadata():
    metadata = b"}" + text("_metadata") + ORDERED + text("") + b"}" + text("version") + b"K\1sss"
    result = run(state_dict({"a": TENSOR}, start=ORDERED, end=metadata + b"b"), "x")
    assert isinstance(result, OrderedDict)
    assert result.keys() == {"a"}


def test_a_parameter():
    call = name("torch._utils _rebuild_parameter") + tuple_of(TENSOR, b"\x88", ORDERED) + b"R"
    assert run(state_dict({"a": call}), "x") == run(state_dict({"a": TENSOR}), "x")


class _Recorder(pickle._Pickler):  # a pickler in Python, whose dispatch a test can extend
    """Pickle tensor stand-ins as torch does, memo and all."""

    def persistent_id(self, obj):
        return obj.persistent if isinstance(obj, _Storage) else None

    def save_global(self, obj, name=None):
        self.write(b"c" + obj.encode("ascii").replace(b" ", b"\n") + b"\n")
        self.memoize(obj)

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, _Name):
            known = self.memo.get(id(obj))
            return self.write(self.get(known[0])) if known else self.save_global(obj)
        return super().save(obj, save_persistent_id)


class _Name(str):
    __slots__ = ()


REBUILD, HALF_STORAGE = _Name("torch._utils _rebuild_tensor_v2"), _Name("torch HalfStorage")


class _Storage:
    def __init__(self, key, numel):
        self.persistent = ("storage", HALF_STORAGE, key, "cpu", numel)


class _Tensor:
    def __init__(self, stored, offset, shape, strides):
        self.call = (stored, offset, shape, strides, False, collections.OrderedDict())

    def __reduce_ex__(self, protocol):
        return _Callable, self.call


def _Callable():  # noqa: N802
    raise AssertionError


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.tuples(
            st.integers(0, 2**40),
            st.lists(st.tuples(st.integers(0, 2**33), st.integers(0, 2**33)), max_size=3),
        ),
        max_size=20,
    )
)
def test_what_pickle_writes_is_read(tensors):
    """Names, numbers of every width and the memo, as the standard library writes them."""
    state = {}
    expected = {}
    for key, (offset, axes) in tensors.items():
        shape, strides = tuple(a for a, _ in axes), tuple(b for _, b in axes)
        state[key] = _Tensor(_Storage(key[:3], 9), offset, shape, strides)
        expected[key] = TensorView(Storage(key[:3], HALF, 9), offset, shape, strides)
    buffer = io.BytesIO()
    pickler = _Recorder(buffer, protocol=2)
    pickler.dispatch = pickler.dispatch.copy()
    pickler.dispatch[type(_Callable)] = lambda self, obj: self.save(REBUILD)
    pickler.dispatch[type] = lambda self, obj: self.save(
        _Name("collections OrderedDict") if obj is collections.OrderedDict else obj
    )
    pickler.dump(state)
    assert run(buffer.getvalue(), "x") == expected


@pytest.mark.parametrize(
    "dangerous",
    [
        "os system",
        "posix system",
        "builtins eval",
        "builtins getattr",
        "__builtin__ eval",
        "torch.storage _load_from_bytes",
        "torch load",
        "torch FloatTensor",
        "torch HalfStorage.__init__",
        "torch._utils _rebuild_tensor_v2.__globals__",
        "collections namedtuple",
        "collections OrderedDict ",
        "functools partial",
        "numpy.core.multiarray _reconstruct",
        "_codecs encode",
        " ",
    ],
)
def test_no_other_name_is_known(dangerous):
    """Refused where the name stands, before anything can be done with it."""
    module, _, attribute = dangerous.partition(" ")
    body = b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"
    with pytest.raises(ValueError, match="which no state dict needs") as caught:
        run(program(body + tuple_of(text("true")) + b"R"), "file: data.pkl")
    assert "\n" not in str(caught.value)


def test_a_real_exploit_does_not_run(tmp_path):
    class Exploit:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for value in (Exploit(), {"a": Exploit()}, {Exploit(): 1}, (Exploit(),)):
            with pytest.raises(ValueError, match=r"^x: "):
                run(pickle.dumps(value, protocol), "x")
    assert not (tmp_path / "ran").exists()


def test_every_known_name_is_inert():
    for known in GLOBALS:
        result = run(program(name(known)), "x")
        assert type(result).__module__ == "pyxglm.checkpoint.pickle_values"
        assert not callable(result)


ALLOWED = b"\x80c(N\x88\x89KMJ\x8aXU})t\x85\x86\x87qrhjsuQRb."


def test_no_other_instruction_is_known():
    for opcode in pickletools.opcodes:
        code = opcode.code.encode("latin-1")
        if code not in [bytes([c]) for c in ALLOWED]:
            with pytest.raises(ValueError, match="has no place in a state dict"):
                run(program(b"}" + code + bytes(20)), "x")


OK_CALL = name("torch._utils _rebuild_tensor_v2")


def call(*arguments):
    return OK_CALL + tuple_of(*arguments) + b"R"


ONES = tuple_of(b"K\1")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\x80\x04N", "pickle protocol 4, expected 2"),
        (b"", "empty stack"),
        (b"NN", "left over"),
        (b"(N", "left over"),
        (b"N(", "empty stack"),
        (b"t", "a mark that it never set"),
        (b"\x85", "empty stack"),
        (b"N\x86", "empty stack"),
        (b"N(\x85", "empty stack"),
        (b"h\0", "recalls value 0"),
        (b"j\0\0\0\x80", "recalls value 2147483648"),
        (b"q\0", "empty stack"),
        (b"(q\0", "empty stack"),
        (b"X\xff\xff\xff\xff", "a string of 4294967295 bytes"),
        (b"X\x10\0\0\0abc", "cut short"),
        (b"X\1\0\0\0\xff", "a string that is not utf-8"),
        (b"X\3\0\0\0\xed\xa0\x80", "a string that is not utf-8"),
        (b"U\1\xff", "a string that is not ascii"),
        (b"cos\nsystem", "has no end"),
        (b"c" + b"x" * 5000 + b"\n\n", "has no end"),
        (b"NNNs", "that is no dict"),
        (b"N(NNu", "that is no dict"),
        (b"}(Nu", "that is no dict"),
        (b")(X\0\0\0\0Nu", "that is no dict"),
        (b"}NNs", "a dict's key is a NoneType, expected a string"),
        (b"}}Ns", "a dict's key is a dict"),
        (b"}K\1Ns", "a dict's key is a int"),
        (b"NQ", "no storage"),
        (text("0") + b"Q", "no storage"),
        (tuple_of(text("storage"), b"N", text("0"), text("cpu"), b"K\1") + b"Q", "no storage"),
        (tuple_of(text("module"), b"N", text("0"), text("cpu"), b"K\1") + b"Q", "no storage"),
        (
            tuple_of(
                text("storage"), name("collections OrderedDict"), text("0"), text("cpu"), b"K\1"
            )
            + b"Q",
            "no storage",
        ),
        (storage(HALF, "0", -1), "no storage"),
        (
            tuple_of(text("storage"), name("torch HalfStorage"), text("0"), text("cpu"), b"\x88")
            + b"Q",
            "no storage",
        ),
        (
            tuple_of(text("storage"), name("torch HalfStorage"), b"K\0", text("cpu"), b"K\1")
            + b"Q",
            "no storage",
        ),
        (STORAGE + storage(HALF, "0", 13), "described in two ways"),
        (STORAGE + storage(np.dtype("<f4"), "0", 12), "described in two ways"),
        (b"N)R", "calls a NoneType"),
        (TENSOR + b")R", "calls a TensorView"),
        (text("x") + b")R", "calls a str"),
        (name("torch HalfStorage") + b")R", "calls a HalfStorage"),
        (OK_CALL + b"NR", "calls a _rebuild_tensor_v2"),
        (OK_CALL + STORAGE + b"R", "calls a _rebuild_tensor_v2"),
        (OK_CALL + b")R", "not those that torch writes"),
        (name("collections OrderedDict") + b"N\x85R", "not those that torch writes"),
        (call(STORAGE, b"K\0", ONES, ONES, b"\x89"), "not those that torch writes"),
        (call(b"N", b"K\0", ONES, ONES, b"\x89", ORDERED), "not those"),
        (call(STORAGE, b"N", ONES, ONES, b"\x89", ORDERED), "not those"),
        (call(STORAGE, b"\x88", ONES, ONES, b"\x89", ORDERED), "not those"),
        (call(STORAGE, integer(-1), ONES, ONES, b"\x89", ORDERED), "not those"),
        (call(STORAGE, b"K\0", b"K\1", b"K\1", b"\x89", ORDERED), "not those"),
        (call(STORAGE, b"K\0", ONES, b")", b"\x89", ORDERED), "not those"),
        (call(STORAGE, b"K\0", tuple_of(b"\x88"), ONES, b"\x89", ORDERED), "not those"),
        (call(STORAGE, b"K\0", ONES, tuple_of(integer(-1)), b"\x89", ORDERED), "not those"),
        (call(STORAGE, b"K\0", tuple_of(integer(-1)), ONES, b"\x89", ORDERED), "not those"),
        (call(STORAGE, b"K\0", ONES, ONES, b"N", ORDERED), "not those"),
        (call(STORAGE, b"K\0", ONES, ONES, b"\x89", b"N"), "not those"),
        (call(STORAGE, b"K\0", ONES, ONES, b"\x89", b"}" + text("a") + b"Ns"), "not those"),
        (call(STORAGE, b"K\0", ONES, ONES, b"\x89", ORDERED, b"}" + text("conj") + b"\x88s"),
         "not those"),
        (call(STORAGE, b"K\0", ONES, ONES, b"\x89", ORDERED, b"}", b"}"), "not those"),
        (name("torch._utils _rebuild_parameter") + tuple_of(STORAGE, b"\x88", ORDERED) + b"R",
         "not those"),
        (name("torch._utils _rebuild_parameter") + tuple_of(TENSOR, b"\x88") + b"R", "not those"),
        (b"}}b", "sets attributes of a dict"),
        (TENSOR + b"}b", "sets attributes of a TensorView"),
        (name("torch HalfStorage") + b"}b", "sets attributes of a HalfStorage"),
        (ORDERED + b"Nb", "sets attributes of a OrderedDict"),
        (b"b", "empty stack"),
    ],
)  # fmt: skip
def test_wrong_operands_are_refused(body, message):
    with pytest.raises(ValueError, match=message) as caught:
        run(program(body), "file: data.pkl")
    assert str(caught.value).startswith("file: data.pkl: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_nothing_may_follow_and_every_cut_is_noticed():
    whole = state_dict({"a": TENSOR})
    with pytest.raises(ValueError, match="left over"):
        run(whole + b"N", "x")
    for length in range(len(whole)):
        with pytest.raises(ValueError, match=r"^x: "):
            run(whole[:length], "x")


@pytest.mark.parametrize(
    ("limit", "body", "message"),
    [
        ("STEP_LIMIT", b"N\x85" * 50, "more than 50 instructions"),
        ("STACK_LIMIT", b"N" * 51, "stack grows too high"),
        ("MARK_LIMIT", b"(" * 51, "stack grows too high"),
        ("MEMO_LIMIT", b"N" + b"".join(b"q" + bytes([n]) for n in range(51)), "memo grows"),
        ("STRING_LIMIT", text("x" * 51), "a string of 51 bytes"),
        ("TENSOR_LIMIT", TENSOR * 51, "more than 50 tensors"),
    ],
)
def test_limits(monkeypatch, limit, body, message):
    monkeypatch.setattr(pickle_machine, limit, 50)
    with pytest.raises(ValueError, match=message):
        run(program(body), "x")


def test_depth_and_cycles_cost_nothing():
    deep = run(program(b"N" + b"\x85" * 100_000), "x")
    assert isinstance(deep, tuple)
    cycle = run(program(b"}q\0" + text("self") + b"h\0s"), "x")
    assert cycle["self"] is cycle


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.sampled_from([bytes([c]) for c in ALLOWED]) | st.binary(max_size=4), max_size=40)
)
def test_any_program_ends_in_a_value_or_one_error(pieces):
    with contextlib.suppress(ValueError):
        run(b"".join(pieces), "x")


def test_long_integers_are_signed():
    assert run(program(b"\x8a\x01\xff"), "x") == -1
    assert run(program(b"\x8a\x00"), "x") == 0
    assert run(program(b"J" + struct.pack("<l", -2)), "x") == -2
