"""torch's format from before 1.6: read to the bit, or refused. Real files: `test_loading`."""

import struct

import numpy as np
import pytest
from checkpoint.build import (
    MAGIC,
    integer,
    keys_pickle,
    name,
    state_dict,
    storage,
    system_pickle,
    tensor,
    text,
    torch_stream,
    tuple_of,
)

from pyxglm.checkpoint.torch_file import read_torch

NUMBERS = np.arange(12, dtype="<f2").reshape(3, 4)
TENSORS = {"w": NUMBERS, "b": np.arange(5, dtype="<f4"), "n": np.array(7, "<i8")}


def write(tmp_path, parts):
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(b"".join(parts))
    return path


def test_tensors_are_mapped(tmp_path):
    found = read_torch(write(tmp_path, torch_stream(TENSORS)))
    assert [*found] == [*TENSORS]
    for key, array in TENSORS.items():
        np.testing.assert_array_equal(found[key], array, strict=True)
        assert not found[key].flags.owndata
        assert not found[key].flags.writeable


def test_the_first_versions_wrote_four_arguments(tmp_path):
    stored = storage(np.dtype("<f2"), "0", 12, b"N")
    arguments = (
        stored, integer(2), tuple_of(integer(2), integer(2)), tuple_of(integer(4), integer(1))
    )  # fmt: skip
    call = name("torch._utils _rebuild_tensor") + tuple_of(*arguments) + b"R"
    parts = torch_stream({"w": NUMBERS})
    parts[3] = state_dict({"w": call})
    found = read_torch(write(tmp_path, parts))["w"]
    np.testing.assert_array_equal(found, [[2, 3], [6, 7]])


def test_tensors_may_share_a_storage(tmp_path):
    stored = storage(np.dtype("<f2"), "0", 12, b"N")
    parts = torch_stream({"w": NUMBERS})
    parts[3] = state_dict({
        "a": tensor(stored, (12,), (1,)), "b": tensor(stored, (4, 3), (1, 4))
    })  # fmt: skip
    found = read_torch(write(tmp_path, parts))
    np.testing.assert_array_equal(found["a"], NUMBERS.ravel())
    np.testing.assert_array_equal(found["b"], NUMBERS.T)


def changed(at, part):
    parts = torch_stream(TENSORS)
    parts[at : at + 1] = [part] if isinstance(part, bytes) else part
    return parts


VIEW = storage(np.dtype("<f2"), "0", 12, tuple_of(text("1"), integer(0), integer(3)))
NUMBER = b"\x80\x02M\xe9\x03."


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (changed(1, b"\x80\x02M\xea\x03."), "format '1002', expected 1001"),
        (changed(2, system_pickle(b"\x89")), "big-endian machine"),
        (changed(2, b"\x80\x02]."), "big-endian machine"),
        (changed(3, b"\x80\x02cos\nsystem\n."), "pickle of the state: .*'os.system'"),
        (changed(3, state_dict({"w": tensor(VIEW, (3,), (1,))})), "refers to something that is no"),
        (changed(3, NUMBER), "the storage '0' is listed twice, or belongs to no tensor"),
        (changed(3, state_dict({"w": integer(3)})), "belongs to no tensor"),
        (changed(4, keys_pickle("01")), "bytes after the last storage"),
        (changed(4, keys_pickle("0120")), "the storage '0' is listed twice"),
        (changed(4, keys_pickle("012x")), "the storage 'x' is listed twice, or belongs"),
        (changed(4, keys_pickle("102")), "the storage '1' has '12' elements"),
        (changed(4, b"\x80\x02}."), "no list of strings"),
        (changed(4, b"\x80\x02]K\x00a."), "no list of strings"),
        (changed(4, b"\x80\x02NK\x00a."), "appends to a NoneType, expected a list"),
        (changed(5, struct.pack("<q", -1) + bytes(24)), "the storage '0' has '-1' elements"),
        (changed(5, struct.pack("<q", 2**62) + bytes(24)), "elements and"),
        (changed(7, struct.pack("<q", 1) + bytes(4)), "4 bytes left for them"),
        (changed(7, struct.pack("<q", 1) + bytes(9)), "1 bytes after the last storage"),
        (changed(7, b""), "ends at byte"),
        ([MAGIC], "pickle of the version: the pickle is cut short"),
    ],
)
def test_damaged_files_are_refused(tmp_path, parts, message):
    path = write(tmp_path, parts)
    with pytest.raises(ValueError, match=message) as caught:
        read_torch(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_cut_anywhere_is_refused(tmp_path):
    whole = b"".join(torch_stream(TENSORS))
    for length in range(len(whole)):
        with pytest.raises(ValueError, match="pytorch_model.bin: "):
            read_torch(write(tmp_path, [whole[:length]]))


def test_lists_have_no_place_in_the_zip_format():
    """Each format has its own instructions and names."""
    from pyxglm.checkpoint.pickle_machine import run
    from pyxglm.checkpoint.pickle_values import LEGACY

    assert run(b"\x80\x02](K\x01K\x02e.", "x", LEGACY) == [1, 2]
    with pytest.raises(ValueError, match="has no place in a state dict"):
        run(b"\x80\x02].", "x")
    with pytest.raises(ValueError, match="_rebuild_tensor"):
        run(b"\x80\x02" + name("torch._utils _rebuild_tensor") + b".", "x")
