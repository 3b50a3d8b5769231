"""What tests of several folders look through."""

import signal

import pytest

# A shell's job in the background ignores Ctrl-C, and so do the programs that it starts: tests
# of interrupts would wait for what never comes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
