"""generate on XGLM itself: the cache, padding and float64 change no id."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pyxglm import KVCache, XGLMConfig, XGLMForCausalLM, XGLMModel
from pyxglm.generation import GenerationConfig, generate, stream

CONFIG = XGLMConfig(
    vocab_size=40, d_model=16, ffn_dim=24, num_layers=2, attention_heads=4, init_std=0.4
)
PROMPTS = [[2, 5, 6, 7, 30], [2, 17], [2, 9, 9]]
OPTIONS = {"max_new_tokens": 12, "eos_token_id": None}


@pytest.fixture(scope="module", params=["float32", "float64"])
def model(request):
    return XGLMForCausalLM(CONFIG, seed=3, compute=request.param)


def by_hand(model, prompt, steps):
    """Continue a prompt with plain forward calls."""
    ids = list(prompt)
    for _ in range(steps):
        ids.append(int(model([ids]).logits[0, -1].argmax()))
    return ids


def test_greedy_with_cache_and_padding_is_plain_forward(model):
    ids = generate(model, PROMPTS, **OPTIONS).tolist()
    for row, prompt in zip(ids, PROMPTS, strict=True):
        assert row[5 - len(prompt) :] == by_hand(model, prompt, 12)
    assert len({tuple(row[5:]) for row in ids}) == 3, "the prompts should matter"


def test_sampling_without_the_cache_draws_the_same(model):
    options = OPTIONS | {"do_sample": True, "top_p": 0.9, "seed": 11}
    cached = generate(model, PROMPTS, **options)
    assert cached.tolist() == generate(model, PROMPTS, use_cache=False, **options).tolist()
    assert cached.tolist() != generate(model, PROMPTS, **OPTIONS).tolist()


def test_the_cache_is_filled_in_place(model, monkeypatch):
    caches = []
    forward = XGLMModel.forward

    def spy(self, *args, **kwargs):
        caches.append(kwargs["past_key_values"])
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(XGLMModel, "__call__", spy)
    # Else C repeats what the model does for a token, unseen.
    monkeypatch.setattr("pyxglm.generation.repetition.recording", lambda backend: None)
    model.generate([2, 5, 6], max_new_tokens=4, eos_token_id=None)
    assert isinstance(caches[0], KVCache)
    assert len(caches) == 4
    assert all(cache is caches[0] for cache in caches)
    assert caches[0].length == 6


def test_more_positions_than_the_table_has():
    config = XGLMConfig.from_dict({**CONFIG.to_dict(), "max_position_embeddings": 8})
    model = XGLMForCausalLM(config, seed=3)
    assert generate(model, [2, 5], **OPTIONS).tolist() == [by_hand(model, [2, 5], 12)]


def test_many_steps_need_no_memory_in_advance(model):
    options = {"max_new_tokens": 10**9, "eos_token_id": list(range(40))}
    assert generate(model, [2, 5], **options).shape == (1, 3)


def test_the_bare_model_is_refused():
    with pytest.raises(TypeError, match="^XGLMModel returned no logits, expected"):
        generate(XGLMModel(CONFIG), [2, 5])


def test_the_settings_of_a_checkpoint(tmp_path):
    config = XGLMConfig(eos_token_id=7)
    assert GenerationConfig.of_checkpoint(tmp_path, config).eos_token_id == 7
    GenerationConfig(eos_token_id=9, max_length=np.int64(30)).save_pretrained(tmp_path)
    assert GenerationConfig.of_checkpoint(tmp_path, config).eos_token_id == 9


class TestTheModelSOwnSettings:
    def test_without_a_file_they_are_the_configuration_s(self):
        model = XGLMForCausalLM(XGLMConfig.from_dict({**CONFIG.to_dict(), "eos_token_id": 9}))
        expected = GenerationConfig(eos_token_id=9, decoder_start_token_id=2)
        assert model.generation_config == expected

    def test_an_old_checkpoint_has_them_in_its_configuration(self, tmp_path):
        """As transformers 4.37.2 finds them there, if there is no generation_config.json."""
        model = XGLMForCausalLM(CONFIG, seed=3)
        model.save_pretrained(tmp_path)
        (tmp_path / "generation_config.json").unlink()
        path = tmp_path / "config.json"
        old = {"num_beams": 4, "max_length": 9, "repetition_penalty": 1.5}
        path.write_text(json.dumps({**json.loads(path.read_text()), **old}))
        found = XGLMForCausalLM.from_pretrained(tmp_path).generate([2, 5]).tolist()
        assert found == model.generate([2, 5], **old).tolist()
        assert found != model.generate([2, 5], max_length=9).tolist()

    def test_they_go_to_the_checkpoint_and_come_back(self, tmp_path):
        model = XGLMForCausalLM(CONFIG, seed=3)
        model.generation_config.max_new_tokens = 3
        model.generation_config.eos_token_id = None
        model.save_pretrained(tmp_path)
        opened = XGLMForCausalLM.from_pretrained(tmp_path)
        assert opened.generation_config == model.generation_config
        assert opened.generate([2, 5]).shape == (1, 5)

    def test_the_bare_model_has_none(self, tmp_path):
        XGLMModel(CONFIG).save_pretrained(tmp_path)
        assert not (tmp_path / "generation_config.json").exists()


CROSSED = XGLMConfig(**{**CONFIG.to_dict(), "add_cross_attention": True})
STATES = np.random.default_rng(5).standard_normal((3, 4, 16)).astype(np.float32)


def test_an_encoders_states_are_attended_to_at_every_step():
    model = XGLMForCausalLM(CROSSED, seed=4)
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0]])
    encoder = {"encoder_hidden_states": STATES, "encoder_attention_mask": mask}
    found = generate(model, PROMPTS, **encoder, **OPTIONS)
    for row, prompt in enumerate(PROMPTS):
        alone = {"encoder_hidden_states": STATES[row : row + 1, mask[row] == 1]}
        ids = list(prompt)
        for _ in range(12):
            ids.append(int(model([ids], **alone).logits[0, -1].argmax()))
        assert found[row, 5 - len(prompt) :].tolist() == ids
    assert found.tolist() != generate(model, PROMPTS, **OPTIONS).tolist()
    steps = np.stack(list(stream(model, PROMPTS, **encoder, **OPTIONS)), axis=1)
    assert np.array_equal(found[:, 5:], steps)


def test_states_that_cannot_be_attended_to_are_refused_before_the_first_step():
    model = XGLMForCausalLM(CROSSED, seed=4)
    with pytest.raises(ValueError, match="there are no encoder_hidden_states$"):
        stream(model, PROMPTS, encoder_attention_mask=np.ones((3, 4)))
    with pytest.raises(ValueError, match="^encoder_hidden_states has batch size 2, expected 3"):
        stream(model, PROMPTS, encoder_hidden_states=STATES[:2])
    with pytest.raises(ValueError, match="the model has no cross-attention"):
        stream(XGLMForCausalLM(CONFIG), PROMPTS, encoder_hidden_states=STATES)


@pytest.mark.parametrize(
    "search",
    [
        {"num_beams": 3, "num_return_sequences": 2},
        {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 0.5},
        {"do_sample": True, "num_return_sequences": 2},
        {"penalty_alpha": 0.6, "top_k": 3},
        {"guidance_scale": 1.5},
    ],
    ids=["beams", "groups", "draws", "contrastive", "guided"],
)
def test_an_encoders_states_go_along_with_the_rows(search):
    model = XGLMForCausalLM(CROSSED, seed=4)
    options = {**search, "max_new_tokens": 8, "eos_token_id": None, "ignore_padding": True}
    found = generate(model, PROMPTS, encoder_hidden_states=STATES, **options)
    several = len(found) // 3
    for row, prompt in enumerate(PROMPTS):
        alone = generate(
            model, [prompt], encoder_hidden_states=STATES[row : row + 1], numbers=[row], **options
        )
        rows = found[row * several : (row + 1) * several, 5 - len(prompt) :]
        assert rows.tolist() == alone.tolist()
    in_turns = generate(model, PROMPTS, encoder_hidden_states=STATES, batch_size=2, **options)
    assert in_turns.tolist() == found.tolist()
    assert found.tolist() != generate(model, PROMPTS, **options).tolist()


def test_what_is_remembered_knows_nothing_of_an_encoder():
    model = XGLMForCausalLM(CROSSED, seed=4)
    with pytest.raises(ValueError, match="^past_key_values is given with encoder_hidden_states"):
        generate(model, PROMPTS, encoder_hidden_states=STATES, past_key_values=KVCache(2))
