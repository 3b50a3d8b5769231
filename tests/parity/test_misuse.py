"""What transformers 4.37.2 refuses is refused; what it stumbles over is refused clearly."""

from __future__ import annotations

import builtins
import json
from typing import Any

import pytest
from golden.compare import FOLDER
from golden.misuse import misuses, plain_text
from parity.harness import arguments, build, weights_of

from pyxglm.config import XGLMConfig

MISUSES = json.loads((FOLDER / "misuse.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("misuse", MISUSES, ids=[misuse["name"] for misuse in MISUSES])
def test_misuse_is_refused(misuse: dict[str, Any]) -> None:
    kinds = tuple(getattr(builtins, name) for name in misuse["expect"])
    if not misuse["calls"]:
        with pytest.raises(kinds) as caught:
            XGLMConfig(**misuse["config"])
    else:
        stored = weights_of(misuse)
        model = build(misuse, weights=stored)
        caches: list[Any] = []
        for call in misuse["calls"][:-1]:
            caches.append(model(**arguments(call, stored, caches, "float32")).past_key_values)
        given = arguments(misuse["calls"][-1], stored, caches, "float32")
        with pytest.raises(kinds) as caught:
            model(**given)
    assert type(caught.value) in kinds
    message = str(caught.value)
    assert message
    assert "\n" not in message
    # NumPy's own words would mean that nothing was checked.
    assert not any(words in message for words in ("broadcast", "matmul:", "out of bounds for axis"))
    if misuse["same_text"]:
        assert misuse["oracle"]["type"] == type(caught.value).__name__
        assert message == plain_text(misuse["oracle"]["message"])


def test_the_table_is_the_recorded_one() -> None:
    recorded = [{k: v for k, v in misuse.items() if k != "oracle"} for misuse in MISUSES]
    assert recorded == misuses()
