"""What the verbs do, compared with what the library says."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest

from pyxglm import KVCache, XGLMConfig, XGLMForCausalLM, XGLMTokenizer, pages
from pyxglm.generation import generate
from pyxglm.memory import working
from pyxglm.ops import native_library as library

PROMPT = "la capitale du Japon"


@pytest.fixture(scope="module")
def opened(checkpoint):
    return XGLMForCausalLM.from_pretrained(checkpoint), XGLMTokenizer.from_pretrained(checkpoint)


def continued(opened, prompt, count=64, **settings):
    """Ids and text that the library adds to a prompt's ids."""
    model, tokenizer = opened
    prompt_ids = tokenizer.encode(prompt) if isinstance(prompt, str) else prompt
    ids = generate(model, prompt_ids, max_new_tokens=count, **settings)[0].tolist()
    options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    before = tokenizer.decode(prompt_ids, **options)
    whole = tokenizer.decode(ids, **options)
    assert whole.startswith(before)
    return ids[len(prompt_ids) :], whole.removeprefix(before)


class TestGenerate:
    def test_the_prompt_and_what_the_model_adds(self, pyxglm, checkpoint, opened):
        result = pyxglm("generate", "-m", checkpoint, PROMPT)
        _, text = continued(opened, PROMPT)
        assert (result.code, result.err) == (0, "")
        assert result.out == PROMPT + text + "\n"
        assert len(text) > 40

    @pytest.mark.parametrize("count", [1, 7])
    def test_at_most_so_many_tokens(self, pyxglm, checkpoint, opened, count):
        result = pyxglm("generate", "-m", checkpoint, "-n", count, PROMPT)
        assert result.out == PROMPT + continued(opened, PROMPT, count)[1] + "\n"

    def test_no_echo(self, pyxglm, checkpoint, opened):
        result = pyxglm("generate", "-m", checkpoint, "--no-echo", PROMPT)
        assert result.out == continued(opened, PROMPT)[1].lstrip() + "\n"

    @pytest.mark.parametrize(
        ("words", "settings"),
        [
            (["--sample"], {}),
            (["--seed", "3"], {"seed": 3}),
            (["--temp", "1.7"], {"temperature": 1.7}),
            (["--top-k", "3"], {"top_k": 3}),
            (["--top-k", "0"], {"top_k": 0}),
            (["--top-p", "0.6", "--seed", "9"], {"top_p": 0.6, "seed": 9}),
        ],
    )
    def test_sampling(self, pyxglm, checkpoint, opened, words, settings):
        result = pyxglm("generate", "-m", checkpoint, *words, PROMPT)
        assert (
            result.out == PROMPT + continued(opened, PROMPT, do_sample=True, **settings)[1] + "\n"
        )
        assert result.out != pyxglm("generate", "-m", checkpoint, PROMPT).out

    def test_json(self, pyxglm, checkpoint, opened):
        result = pyxglm("generate", "-m", checkpoint, "--json", "-n", 5, PROMPT)
        ids, text = continued(opened, PROMPT, 5)
        assert result.out.count("\n") == 1
        assert json.loads(result.out) == {
            "model": str(checkpoint),
            "prompt": PROMPT,
            "text": text,
            "prompt_ids": opened[1].encode(PROMPT),
            "ids": ids,
            "finish_reason": "length",
        }

    def test_json_tells_when_the_model_ended_the_text(self, pyxglm, abrupt):
        result = json.loads(pyxglm("generate", "-m", abrupt, "--json", PROMPT).out)
        assert (len(result["ids"]), result["finish_reason"]) == (1, "stop")

    @pytest.mark.parametrize("prompt", ["", "   ", "</s>", "\n"])
    def test_prompts_of_nothing(self, pyxglm, checkpoint, opened, prompt):
        result = pyxglm("generate", "-m", checkpoint, "-n", 3, prompt)
        assert result.code == 0
        assert result.out == prompt.rstrip() + continued(opened, prompt, 3)[1] + "\n"

    def test_a_prompt_that_begins_with_a_dash(self, pyxglm, checkpoint):
        result = pyxglm("generate", "-m", checkpoint, "-n", 1, "--", "-5 + 3 =")
        assert result.out.startswith("-5 + 3 =")

    def test_a_prompt_from_a_file(self, pyxglm, checkpoint, tmp_path):
        path = tmp_path / "prompt.txt"
        path.write_text(f"{PROMPT}\n\n", encoding="utf-8")
        assert pyxglm("generate", "-m", checkpoint, "-f", path) == pyxglm(
            "generate", "-m", checkpoint, PROMPT
        )

    def test_line_breaks_can_be_what_they_were_in_training(self, pyxglm, checkpoint, opened):
        prompt = "the cat\n\nthe moon\n"
        tokenizer = opened[1]
        parts = [tokenizer.encode(line) for line in ("the cat", "", "the moon")]
        expected = [id_ for part in parts for id_ in part]
        assert expected.count(2) == 3
        words = ("generate", "-m", checkpoint, "--json", "-n", 2, prompt)
        as_eos = json.loads(pyxglm(*words, "--line-breaks", "eos").out)
        assert as_eos["prompt_ids"] == expected
        assert as_eos["ids"] == continued(opened, expected, 2)[0]
        assert json.loads(pyxglm(*words).out)["prompt_ids"] == tokenizer.encode(prompt)

    def test_settings_of_the_checkpoint_are_kept(self, pyxglm, abrupt):
        assert len(pyxglm("generate", "-m", abrupt, "the cat").out) < 40

    def test_warnings_are_one_line_each(self, pyxglm, checkpoint, monkeypatch):
        import warnings

        from pyxglm.pretrained import XGLMPreTrainedModel

        original = XGLMPreTrainedModel.from_pretrained.__func__

        def warning(cls, *args, **kwargs):
            warnings.warn("two\nlines", UserWarning, stacklevel=1)
            return original(cls, *args, **kwargs)

        monkeypatch.setattr(XGLMPreTrainedModel, "from_pretrained", classmethod(warning))
        assert pyxglm("generate", "-m", checkpoint, PROMPT).err == "pyxglm: warning: two lines\n"


class TestTokenize:
    TEXT = "la capitale, 東京!"

    def test_ids_and_pieces(self, pyxglm, checkpoint, opened):
        result = pyxglm("tokenize", "-m", checkpoint, self.TEXT)
        ids = opened[1].encode(self.TEXT)
        pieces = opened[1].convert_ids_to_tokens(ids)
        assert result.out.splitlines() == [f"{i}\t{p}" for i, p in zip(ids, pieces, strict=True)]
        assert result.out.startswith("2\t</s>\n")

    def test_ids_only(self, pyxglm, checkpoint, opened):
        result = pyxglm("tokenize", "-m", checkpoint, "--ids", "--no-special", self.TEXT)
        ids = opened[1].encode(self.TEXT, add_special_tokens=False)
        assert result.out == " ".join(map(str, ids)) + "\n"

    def test_json(self, pyxglm, checkpoint, opened):
        result = json.loads(pyxglm("tokenize", "-m", checkpoint, "--json", self.TEXT).out)
        ids = opened[1].encode(self.TEXT)
        pieces = opened[1].convert_ids_to_tokens(ids)
        assert result == {"text": self.TEXT, "ids": ids, "pieces": pieces}

    def test_offsets(self, pyxglm, checkpoint, opened):
        words = ("tokenize", "-m", checkpoint, "--offsets", self.TEXT)
        tokens, offsets = opened[1].tokenize_with_offsets(self.TEXT)
        rows = [line.split("\t") for line in pyxglm(*words).out.splitlines()]
        assert rows[0] == ["2", "</s>", "0", "0"]
        assert [(int(start), int(end)) for _, _, start, end in rows[1:]] == offsets
        assert [int(row[0]) for row in rows[1:]] == opened[1].convert_tokens_to_ids(tokens)
        found = json.loads(pyxglm(*words, "--json").out)
        assert found["offsets"] == [[0, 0], *map(list, offsets)]
        assert pyxglm("tokenize", "-m", checkpoint, "--offsets", "--no-special", "").out == ""
        result = pyxglm(*words, "--ids")
        assert result.err == "pyxglm: --offsets and --ids are given, expected one of them\n"

    def test_by_the_other_library(self, pyxglm, checkpoint):
        text = "the cat ＜/s＞"
        slow, fast = (
            json.loads(pyxglm("tokenize", "-m", checkpoint, "--json", *option, text).out)["ids"]
            for option in ((), ("--fast",))
        )
        assert fast[-1] == 2 != slow[-1]
        assert fast[:3] == slow[:3]

    @pytest.mark.parametrize("separator", [" ", ",", ", ", "\n"])
    def test_decode(self, pyxglm, checkpoint, opened, separator):
        ids = opened[1].encode("the cat sat")
        words = separator.join(map(str, ids))
        assert pyxglm("tokenize", "-m", checkpoint, "--decode", words).out == "</s> the cat sat\n"
        result = pyxglm("tokenize", "-m", checkpoint, "--decode", "--no-special", f"[{words}]")
        assert result.out == "the cat sat\n"
        assert pyxglm("tokenize", "-m", checkpoint, "--decode", *ids).out == "</s> the cat sat\n"

    def test_decoding_what_the_vocabulary_lacks(self, pyxglm, checkpoint):
        result = pyxglm("tokenize", "-m", checkpoint, "--decode", "2 88")
        assert (result.code, result.out) == (2, "")
        assert result.err == "pyxglm: --decode got the id 88, expected 0 to 87\n"


class TestInfo:
    def test_json(self, pyxglm, checkpoint, opened):
        facts = json.loads(pyxglm("info", "-m", checkpoint, "--json").out)
        model = opened[0]
        assert facts["parameters"] == model.num_parameters()
        assert facts["parameters_by_dtype"] == {"float16": model.num_parameters()}
        assert facts["memory"]["weights"] == 2 * model.num_parameters()
        assert facts["memory"]["cache_per_token"] == 2 * 2 * 32 * 4  # keys, values; L; D; bytes
        assert facts["memory"]["cache_full"] == 2 * 2 * 32 * 4 * 2048
        names = [
            "model.safetensors",
            "config.json",
            "generation_config.json",
            "sentencepiece.bpe.model",
        ]
        assert facts["files"] == [
            {"name": name, "bytes": (checkpoint / name).stat().st_size} for name in names
        ]
        assert facts["config"]["d_model"] == 32
        assert facts["backends"][-1] == "numpy"
        assert facts["kernels"]["isa"] == facts["kernels"]["available"][-1]
        assert facts["kernels"]["serving"]["linear_f16"] == facts["kernels"]["isa"]
        assert facts["unexpected_tensors"] == []

    def test_text(self, pyxglm, checkpoint, opened):
        result = pyxglm("info", "-m", checkpoint)
        count = opened[0].num_parameters()
        assert result.err == ""
        assert f"\nparameters  {count:,} ({count:,} float16)\n" in result.out
        assert "\n            ffn_dim                  48\n" in result.out
        assert "\nmemory      " in result.out
        assert " cache for a text of 2,048 tokens\n" in result.out
        assert "\nkernels     " in result.out
        assert " linear_f16 " in result.out
        if "avx512" in library.available_isas():
            how = "on pairs of bfloat16" if library.bf16_pairs() else "by FMA, without AVX512_BF16"
            assert f" linear_coarse of avx512: {how}\n" in result.out
        assert all(line[:12].strip() or line.startswith(" ") for line in result.out.splitlines())

    @pytest.mark.parametrize(
        "sizes",
        [
            {"d_model": 64, "ffn_dim": 1024, "attention_heads": 2},
            {"d_model": 64, "ffn_dim": 64, "attention_heads": 16},
            {"d_model": 256, "ffn_dim": 512, "attention_heads": 2, "activation_function": "relu"},
            {"d_model": 64, "ffn_dim": 2048, "attention_heads": 2, "activation_function": "silu"},
            {"d_model": 64, "ffn_dim": 2048, "attention_heads": 2, "activation_function": "mish"},
        ],
    )
    @pytest.mark.parametrize("backend", ["c", "numpy"])
    def test_the_working_memory_is_about_what_it_says(self, sizes, backend):
        T = 512
        config = XGLMConfig(vocab_size=500, num_layers=2, max_position_embeddings=T, **sizes)
        model = XGLMForCausalLM(config, dtype="float16", backend=backend)
        ids = np.random.default_rng(0).integers(3, 500, (1, T))
        cache = KVCache(config.num_layers, T)
        model(ids, logits_to_keep=1)  # computes the position table
        pages.release()
        tracemalloc.start()
        try:
            model(ids, past_key_values=cache, logits_to_keep=1)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        peak -= 2 * config.num_layers * config.d_model * 4 * T
        expected = working(config, T, backend)
        assert 0.5 * expected < peak < 1.1 * expected
