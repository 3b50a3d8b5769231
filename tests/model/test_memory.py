"""What will not fit is refused before it is begun."""

from __future__ import annotations

import pytest

from pyxglm import XGLMConfig, XGLMForCausalLM, memory, pages
from pyxglm.memory import available, check_generation

LARGE = XGLMConfig(d_model=4096, ffn_dim=16384, num_layers=32, attention_heads=32)


def system(root, meminfo="MemTotal: 9 kB\nMemAvailable: 4000 kB\n", **groups):
    files = {"proc/meminfo": meminfo}
    files |= {f"sys/fs/cgroup/{name.replace('__', '/').replace('_', '.', 1)}": text
              for name, text in groups.items()}  # fmt: skip
    for name, text in files.items():
        if text is not None:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    return root


def test_what_the_kernel_says(tmp_path):
    assert available(system(tmp_path)) == 4000 * 1024


def test_a_group_may_allow_less(tmp_path):
    statistics = "anon 5\ninactive_file 200000\nactive_file 100000\n"
    groups = {"memory_max": "1000000\n", "memory_current": "900000\n", "memory_stat": statistics}
    assert available(system(tmp_path, **groups)) == 1000000 - 900000 + 300000


@pytest.mark.parametrize("limit", ["max\n", "9223372036854771712\n"])
def test_a_group_without_a_limit(tmp_path, limit):
    groups = {"memory_max": limit, "memory_current": "900000\n", "memory_stat": "anon 5\n"}
    assert available(system(tmp_path, **groups)) == 4000 * 1024


def test_nobody_says(tmp_path):
    assert available(tmp_path) is None


def test_this_system_says_something():
    assert available() is None or available() > 2**20


def test_keys_and_values_of_the_largest_model(monkeypatch):
    # 1,048,576 bytes a token: 2 * 32 layers * 4096 * 4 bytes.
    monkeypatch.setattr(memory, "available", lambda: 8 * 10**9)
    check_generation(LARGE, "c", 4, 3, 100, 2048)
    with pytest.raises(MemoryError) as caught:
        check_generation(LARGE, "c", 4, 4, 100, 2048)
    assert str(caught.value).startswith(
        "the keys and values of 4 texts of 2048 tokens take 8.6 GB and a pass over a prompt of 100"
        " takes 0.0 GB, expected no more than the 8.0 GB that are free: continue fewer texts"
    )
    # No text is longer than the positions that the model has, unless its prompt is.
    check_generation(LARGE, "c", 4, 3, 100, 10**9)
    monkeypatch.setattr(memory, "available", lambda: None)
    check_generation(LARGE, "c", 4, 10**6, 100, 2048)


def test_generate_looks_before_it_begins(monkeypatch):
    config = XGLMConfig(vocab_size=20, d_model=64, ffn_dim=8, num_layers=8, attention_heads=2)
    model = XGLMForCausalLM(config)
    monkeypatch.setattr(memory, "available", lambda: 2**28)
    model.generate([[5]] * 16, max_new_tokens=1, eos_token_id=None)
    with pytest.raises(MemoryError, match="^the keys and values of 120 texts of 1001 tokens take"):
        model.generate([[5]] * 60, max_new_tokens=1000, do_sample=True, num_return_sequences=2)


def test_memory_that_is_kept_is_given_back_before_anything_is_refused(monkeypatch):
    del (dropped := [pages.empty((2**20,))])[:]
    assert not dropped
    monkeypatch.setattr(memory, "available", lambda: 2**20 if pages._unused else 2**40)
    check_generation(LARGE, "c", 4, rows=1, prompt=10, tokens=2000)
    assert not pages._unused
