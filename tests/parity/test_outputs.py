"""Every recorded output of transformers 4.37.2, in float32 and in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from golden.compare import cases, error, expected, load
from golden.flatten import FIELDS, flatten, structure
from golden.more_cases import GROUPS
from parity.harness import TOLERANCES, arguments, build, run, weights_of

from pyxglm.cache import KVCache
from pyxglm.config import XGLMConfig
from pyxglm.modeling import XGLMForCausalLM, XGLMModel

EVERY = [(group, case) for group in GROUPS for case in cases(group)]
NAMES = [f"{group}-{case['name']}" for group, case in EVERY]


@pytest.mark.parametrize("compute", ["float32", "float64"])
@pytest.mark.parametrize(("group", "case"), EVERY, ids=NAMES)
def test_outputs_agree(group: str, case: dict[str, Any], compute: str) -> None:
    # In float32 the model computes its own position table. In float64 the entries of the
    # oracle's, whose sines are float32, would hide everything below 1e-7: it is injected.
    table = load(group)[case["table"]] if compute == "float64" else None
    for number, (call, outputs) in enumerate(
        zip(case["calls"], run(case, compute, table), strict=True)
    ):
        found = flatten(outputs, call.get("keep", ["logits"]))
        wanted = expected(group, case["name"], number, compute)
        wanted.pop("loss_standard", None)
        assert sorted(found) == sorted(wanted)
        for name, array in wanted.items():
            assert found[name].dtype == compute, name
            assert error(found[name], array) <= TOLERANCES[compute], f"call {number}: {name}"
        assert structure(outputs) == call["structure"]


@pytest.mark.parametrize("group", GROUPS)
def test_the_grid_is_the_recorded_one(group: str) -> None:
    recorded = [
        {
            **{key: value for key, value in case.items() if key != "table"},
            "calls": [
                {key: value for key, value in call.items() if key not in {"structure", "tuple"}}
                for call in case["calls"]
            ],
        }
        for case in cases(group)
    ]
    assert recorded == GROUPS[group]()


LOSSES = cases("losses")


@pytest.mark.parametrize("compute", ["float32", "float64"])
@pytest.mark.parametrize("case", LOSSES, ids=[case["name"] for case in LOSSES])
def test_standard_loss(case: dict[str, Any], compute: str) -> None:
    table = load("losses")[case["table"]]
    stored = weights_of(case)
    model = build(case, compute, table, stored)
    caches: list[Any] = []
    for number, call in enumerate(case["calls"]):
        given = arguments(call, stored, caches, compute)
        outputs = model(**{**given, "return_dict": True})
        caches.append(outputs.past_key_values)
        wanted = expected("losses", case["name"], number, compute).get("loss_standard")
        assert (outputs.loss is None) == (wanted is None)
        if wanted is not None:
            assert np.shape(outputs.loss) == ()
            assert error(outputs.loss, wanted) <= TOLERANCES[compute]


@pytest.mark.parametrize("compute", ["float32", "float64"])
def test_the_model_remembers_its_loss_type(compute: str) -> None:
    case = next(case for case in LOSSES if case["name"] == "holes")
    stored, table = weights_of(case), load("losses")[case["table"]]
    config = XGLMConfig(**case["config"])
    model = XGLMForCausalLM.from_weights(config, stored, compute=compute, loss_type="hf-4.37")
    model.set_position_table(table)
    given = arguments(case["calls"][0], stored, [], compute)
    wanted = expected("losses", "holes", 0, compute)
    assert error(model(**given).loss, wanted["loss"]) <= TOLERANCES[compute]
    given["loss_type"] = "standard"
    assert error(model(**given).loss, wanted["loss_standard"]) <= TOLERANCES[compute]


@pytest.mark.parametrize("compute", ["float32", "float64"])
@pytest.mark.parametrize("name", ["everything", "everything_odd", "cross"])
def test_the_bare_model(name: str, compute: str) -> None:
    case = next(case for case in cases("outputs") if case["name"] == name)
    weights = weights_of(case)
    bare = {name.removeprefix("model."): array for name, array in weights.items()}
    model = XGLMModel.from_weights(XGLMConfig(**case["config"]), bare, compute=compute)
    model.set_position_table(load("outputs")[case["table"]])
    outputs = model(**arguments(case["calls"][0], weights, [], compute))
    wanted = expected("outputs", name, 0, compute)
    last = f"hidden_states.{case['config']['num_layers']}"
    assert error(outputs.last_hidden_state, wanted[last]) <= TOLERANCES[compute]
    assert np.array_equal(outputs.last_hidden_state, outputs[0])


LINEAR = [
    ("past", "token_by_token"),
    ("past", "from_one_token"),
    ("past", "left_padded"),
    ("past", "chunks"),
    ("past", "chunks_masked"),
    ("past", "past_4d"),
    ("past", "head_mask"),
    ("past", "hidden_and_attentions"),
    ("past", "sharp_chunks"),
    ("cross", "cached"),
    ("cross", "cached_keys_win"),
    ("positions", "past_beyond_the_table"),
]


@pytest.mark.parametrize("room", [0, 64])
@pytest.mark.parametrize(("group", "name"), LINEAR)
def test_a_cache_object_serves_as_well_as_tuples(group: str, name: str, room: int) -> None:
    case = next(case for case in cases(group) if case["name"] == name)
    stored = weights_of(case)
    model = build(case, weights=stored)
    cache = KVCache(case["config"]["num_layers"], room)
    for number, call in enumerate(case["calls"]):
        given = arguments({k: v for k, v in call.items() if k != "past"}, stored, [], "float32")
        outputs = model(**given, past_key_values=cache)
        assert outputs.past_key_values is cache
        found = flatten(outputs, ["logits", "hidden_states", "attentions"])
        wanted = expected(group, name, number, "float32")
        for field in set(wanted) & set(found):
            assert error(found[field], wanted[field]) <= TOLERANCES["float32"]


@pytest.mark.parametrize("keep", [1, 2, 7, 9])
def test_logits_of_the_last_positions(keep: int) -> None:
    case = cases("widths")[2]
    stored = weights_of(case)
    given = arguments(case["calls"][0], stored, [], "float32")
    logits = build(case, weights=stored)(**given, logits_to_keep=keep).logits
    wanted = expected("widths", case["name"], 0, "float32")["logits"][:, -keep:]
    assert error(logits, wanted) <= TOLERANCES["float32"]


TUPLES = [
    (group, case, number)
    for group, case in EVERY
    for number, call in enumerate(case["calls"])
    if "tuple" in call
]


@pytest.mark.parametrize(
    ("group", "case", "number"), TUPLES, ids=[f"{g}-{c['name']}" for g, c, _ in TUPLES]
)
def test_tuples_have_the_order_of_transformers(
    group: str, case: dict[str, Any], number: int
) -> None:
    call = case["calls"][number]
    stored = weights_of(case)
    model = build(case, weights=stored)
    given = arguments(call, stored, [], "float32")
    mapping = model(**{**given, "return_dict": True})
    entries = model(**given)  # by the call's own return_dict, or the configuration's
    assert isinstance(entries, tuple)
    order = call["tuple"]
    assert [field for field in FIELDS if getattr(mapping, field) is not None] == order
    assert list(mapping.keys()) == order
    assert len(entries) == len(mapping.to_tuple()) == len(order)
    for index, field in enumerate(order):
        for value in (entries[index], mapping[index], mapping.to_tuple()[index]):
            same_arrays(value, mapping[field])


def same_arrays(found: Any, wanted: Any) -> None:
    """Compare nested tuples of arrays bit by bit."""
    assert isinstance(found, tuple) == isinstance(wanted, tuple)
    if isinstance(found, tuple):
        assert len(found) == len(wanted)
        for a, b in zip(found, wanted, strict=True):
            same_arrays(a, b)
    else:
        assert np.array_equal(found, wanted)
