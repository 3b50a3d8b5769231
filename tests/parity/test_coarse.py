"""What `compute="bfloat16"` costs in accuracy, on the bundled model."""

from __future__ import annotations

import pytest
from parity.coarse import apart

from pyxglm.ops import available_backends


@pytest.mark.parametrize("backend", available_backends())
def test_the_logits_are_as_near_as_the_readme_says(backend):
    found = apart(40, backend)
    assert 1e-3 < found.largest < 2e-2  # and the mode does something
    assert found.log_prob < 0.5
    assert found.same > 0.99
