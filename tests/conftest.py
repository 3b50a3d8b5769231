"""What tests of several folders look through."""

import pytest


@pytest.fixture
def embedded(monkeypatch):
    """The tokens that go through the model: how many in each call."""
    from pyxglm import decoder

    seen = []
    embed = decoder.embed

    def spy(ids, *rest):
        seen.append(ids.size)
        return embed(ids, *rest)

    monkeypatch.setattr(decoder, "embed", spy)
    return seen
