"""Record what transformers 4.37.2's greedy search makes of every processor.

``tests/golden/model/processors.json``. For each call of `generation_grid` the
first seed is taken with which the setting matters, and no step decides between
two nearly equal scores.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from golden.generation_grid import BUNDLED, FUNCTIONS, GREEDY, TEXTS
from golden.oracle import build
from golden.record_greedy import CLEAR, CONFIG
from transformers import LogitsProcessor, XGLMForCausalLM, XGLMTokenizer

TINY = Path(__file__).parents[2] / "pyxglm" / "tiny"
SEEDS = range(1000, 1400)

#: What is asked of the call without the setting, too.
LENGTHS = ("max_new_tokens", "max_length", "eos_token_id")


class Own(LogitsProcessor):
    """A function as transformers wants it."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        return torch.from_numpy(self.function(input_ids.numpy(), scores.numpy()))


def given(settings: dict[str, Any]) -> dict[str, Any]:
    """Turn settings as JSON has them into what the oracle takes."""
    found = {}
    for name, value in settings.items():
        if name.startswith("negative_prompt"):
            value = torch.tensor(value)
        elif name == "sequence_bias":
            value = {tuple(ids): bias for ids, bias in value}
        elif name == "logits_processor":
            value = [Own(FUNCTIONS[value])]
        elif name == "prefix_allowed_tokens_fn":
            value = FUNCTIONS[value]
        elif name == "exponential_decay_length_penalty":
            value = tuple(value)
        found[name] = value
    return found


def generate(model: Any, ids: Any, mask: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the oracle's ids, the scores of the chosen tokens, and the smallest lead of one."""
    ids = torch.tensor(ids)
    settings = given(settings)
    with torch.no_grad():
        out = model.generate(
            ids, attention_mask=None if mask is None else torch.tensor(mask), do_sample=False,
            output_scores=True, return_dict_in_generate=True, **settings,
        )  # fmt: skip
    scores = torch.stack(out.scores, dim=1)  # (B, steps, V)
    chosen = model.compute_transition_scores(out.sequences, out.scores)
    eos = settings.get("eos_token_id", model.config.eos_token_id)
    eos = eos if isinstance(eos, list) else [eos]
    new = out.sequences[:, ids.shape[1] :]
    margin, kept = float("inf"), []
    for row in range(len(new)):
        ended = [step for step, id_ in enumerate(new[row].tolist()) if id_ in eos]
        length = ended[0] + 1 if ended else new.shape[1]
        first, second = scores[row, :length].topk(2).values.unbind(-1)
        size = scores[row, :length].nan_to_num(0, 0, 0).abs().amax(-1)
        size = torch.where(size > 1e30, 1.0, size)  # the largest float32 is no score
        lead = torch.where(size == 0, torch.inf, (first - second) / size)
        margin = min(margin, lead.min().item())
        kept.append([float(f"{score:.7g}") for score in chosen[row, :length].tolist()])
    return {"output_ids": out.sequences.tolist(), "scores": kept, "margin": min(margin, 1.0)}


def random_calls() -> list[dict[str, Any]]:
    """Return the calls on random models."""
    made: dict[int, Any] = {}
    found = []
    for settings, batches in GREEDY:
        for ids, mask in batches:
            plain = {"max_new_tokens": 14}
            asked = {**plain, **settings}
            lengths = {name: value for name, value in asked.items() if name in LENGTHS}
            for seed in SEEDS:
                model = {"config": CONFIG, "seed": seed, "profile": "sharp", "stored": "float32"}
                if seed not in made:
                    made[seed] = build(model, torch.float32)[0]
                one = generate(made[seed], ids, mask, asked)
                without = generate(made[seed], ids, mask, lengths)
                if one["margin"] >= CLEAR and one["output_ids"] != without["output_ids"]:
                    break
            else:
                raise AssertionError(f"no seed for {settings}")
            found.append({"seed": seed, "input_ids": ids, "attention_mask": mask,
                          "settings": asked, **one})  # fmt: skip
    return found


def bundled_calls() -> list[dict[str, Any]]:
    """Return the calls on the bundled model."""
    model = XGLMForCausalLM.from_pretrained(TINY).eval()
    tokenizer = XGLMTokenizer.from_pretrained(TINY, padding_side="left")
    encoded = tokenizer(TEXTS, padding=True)
    found = []
    for settings in BUNDLED:
        asked = {"max_new_tokens": 16, **settings}
        one = generate(model, encoded["input_ids"], encoded["attention_mask"], asked)
        if one["margin"] < CLEAR:
            raise AssertionError(f"{settings}: two scores within {one['margin']:.1e}")
        found.append({"input_ids": encoded["input_ids"], "settings": asked,
                      "attention_mask": encoded["attention_mask"], **one})  # fmt: skip
    return found


def record(folder: Path) -> None:
    """Write the file."""
    path = folder / "processors.json"
    calls = {"random": random_calls(), "bundled": bundled_calls()}
    parts = [
        f'"{name}": [\n' + ",\n".join(json.dumps(one) for one in group) + "\n]"
        for name, group in calls.items()
    ]
    config = json.dumps(CONFIG)
    path.write_text("{\n" + ",\n".join([f'"config": {config}', *parts]) + "\n}\n", encoding="utf-8")
    smallest = min(one["margin"] for group in calls.values() for one in group)
    print(f"{path.name}: {sum(map(len, calls.values()))} calls, {path.stat().st_size} bytes, "
          f"smallest margin {smallest:.1e}")  # fmt: skip
