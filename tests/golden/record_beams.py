"""Record transformers 4.37.2's beams and contrastive search: ``tests/golden/model/beams.json``.

Beam search, groups, constraints and contrastive search decide between sums of
many logits, so an id says something only where no decision was close. Every
call is made with the weights as they are and with weights changed by
`DISTURBED` at random, `TRIALS` times; the first seed from the given one on with
which all of them write the same ids is recorded. The bundled model has no seed:
its calls must stand the test as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import torch
from golden.oracle import build
from golden.record_greedy import CONFIG
from transformers import (
    DisjunctiveConstraint,
    PhrasalConstraint,
    StoppingCriteriaList,
    XGLMForCausalLM,
)

from pyxglm import tiny

#: Prompts by name; ids equal to 1 on the left are padding. The last ones are for the bundled
#: model: "The capital of France is", "2 + 2 =", "Le chat est".
PROMPTS = {
    "one": [[2, 9, 17, 25]],
    "padded": [[2, 9, 17, 25], [1, 1, 2, 11], [1, 2, 30, 8]],
    "texts": [[2, 93, 10, 58, 103, 642, 14], [2, 26, 4, 2174, 26, 4, 9],
              [1, 1, 1, 2, 275, 2723, 61]],
}  # fmt: skip
DISTURBED = 3e-6
TRIALS = 3
SEEDS = 400
#: Calls of which more of the structured result is kept: origins, and the scores along them.
DETAILED = {"one_prompt", "many_eos", "many_processors", "bundled_beams_1.0_False"}
STOPS = ("length_penalty", "early_stopping")


def calls() -> Iterator[dict[str, Any]]:
    """Yield the calls: names, first seeds, prompts, settings."""
    yield from beams()
    yield from groups()
    yield from constrained()
    yield from contrastive()


def random(name: str, seed: int, prompts: str = "padded", **settings: Any) -> dict[str, Any]:
    """Describe a call of a random model."""
    return {"name": name, "seed": seed, "prompts": prompts,
            "settings": {"max_new_tokens": 8, **settings}}  # fmt: skip


def bundled(name: str, prompts: str = "texts", **settings: Any) -> dict[str, Any]:
    """Describe a call of the bundled model."""
    return {"name": f"bundled_{name}", "seed": None, "prompts": prompts,
            "settings": {"max_new_tokens": 12, **settings}}  # fmt: skip


def beams() -> Iterator[dict[str, Any]]:
    """Yield calls of beam search."""
    for penalty, early in product((-1.5, 0.0, 1.0, 3.0), (False, True, "never")):
        rules = dict(zip(STOPS, (penalty, early), strict=True))
        name = f"beams_{penalty}_{early}"
        eos = [2, 20, 25]
        yield random(name, 1022, num_beams=3, eos_token_id=eos, num_return_sequences=3, **rules)
        if penalty != 3.0:
            yield bundled(name, num_beams=4, num_return_sequences=2, **rules)
    yield random("two_beams", 1001, num_beams=2)
    yield random("one_prompt", 1001, "one", num_beams=5, num_return_sequences=5)
    yield random("more_beams_than_ids", 1003, "one", num_beams=40, num_return_sequences=7)
    yield random("one_new_token", 1004, num_beams=4, max_new_tokens=1, num_return_sequences=4)
    yield random("max_length", 1005, num_beams=3, max_new_tokens=None, max_length=9)
    yield random("no_eos", 1006, num_beams=3, eos_token_id=None)
    yield random("eos_given", 1007, num_beams=3, eos_token_id=20, num_return_sequences=2)
    yield random("pad_given", 1008, "one", num_beams=3, eos_token_id=25, pad_token_id=0,
                 num_return_sequences=3)  # fmt: skip
    several = {"num_beams": 3, "eos_token_id": [13, 20, 22, 25], "num_return_sequences": 2}
    yield random("many_eos", 1009, **several)
    yield random("min_length", 1010, min_length=9, **several)
    yield random("min_new_tokens", 1011, min_new_tokens=4, **several)
    yield random("repetition_penalty", 1012, num_beams=3, repetition_penalty=1.4)
    yield random("repetition_reward", 1013, num_beams=3, repetition_penalty=0.8)
    yield random("no_repeat_ngrams", 1014, num_beams=3, no_repeat_ngram_size=2)
    words = [[20], [12, 25], [25, 22, 30]]
    yield random("bad_words", 1015, num_beams=3, bad_words_ids=words)
    yield random("suppressed", 1016, num_beams=3, suppress_tokens=[20, 24],
                 begin_suppress_tokens=[25, 8])  # fmt: skip
    yield random("forced_ends", 1017, num_beams=3, forced_eos_token_id=2)
    yield random("decaying_length", 1018, exponential_decay_length_penalty=[3, 1.6], **several)
    yield random("renormalized", 1019, num_beams=3, repetition_penalty=1.3, renormalize_logits=True)
    yield random("many_processors", 1020, min_new_tokens=3, repetition_penalty=1.2,
                 no_repeat_ngram_size=3, bad_words_ids=words, length_penalty=0.7,
                 **several)  # fmt: skip
    yield bundled("processors", num_beams=4, no_repeat_ngram_size=3, repetition_penalty=1.2,
                  min_new_tokens=5, num_return_sequences=2)  # fmt: skip
    yield bundled("eight", num_beams=8, num_return_sequences=4, max_new_tokens=10)


def groups() -> Iterator[dict[str, Any]]:
    """Yield calls of group beam search."""
    for (count, of), penalty in product(((4, 2), (6, 3), (6, 2), (4, 4)), (0.3, 2.5)):
        yield random(f"groups_{count}_{of}_{penalty}", 1030, num_beams=count, num_beam_groups=of,
                     diversity_penalty=penalty, num_return_sequences=count)  # fmt: skip
    shape = {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 0.7}
    ends = {**shape, "eos_token_id": [2, 20, 25], "num_return_sequences": 4}
    for penalty, early in product((0.0, 1.0), (False, True, "never")):
        rules = dict(zip(STOPS, (penalty, early), strict=True))
        yield random(f"groups_{penalty}_{early}", 1040, **ends, **rules)
    yield random("groups_processors", 1050, repetition_penalty=1.3, no_repeat_ngram_size=2,
                 min_new_tokens=3, **ends)  # fmt: skip
    yield random("groups_no_eos", 1051, "one", eos_token_id=None, **shape)
    yield bundled("groups", num_return_sequences=4, **shape)
    yield bundled("groups_of_two", num_beams=6, num_beam_groups=3, diversity_penalty=1.5,
                  num_return_sequences=3, early_stopping=True)  # fmt: skip


def constrained() -> Iterator[dict[str, Any]]:
    """Yield calls of constrained beam search."""
    forced = {
        "a_word": [[7]],
        "a_phrase": [[7, 8]],
        "two_phrases": [[7, 8], [13, 5, 22]],
        "sharing_a_beginning": [[25, 12], [25, 20]],
        "a_choice": [[[5, 6], [9]]],
        "a_choice_in_a_tree": [[[5, 6, 7], [5, 9], [20, 12]]],
        "a_choice_in_a_chain": [[[25, 6, 9, 7], [25, 9, 8], [20, 24, 25], [20, 25]]],
        "choice_and_phrase": [[7, 8], [[5], [6, 9]]],
        "a_repetition": [[20, 20, 12]],
        "in_the_prompt": [[17, 25], [7]],
        "too_much": [[3, 4, 5, 6, 7], [8, 9, 10, 11, 12]],
    }
    for number, (name, words) in enumerate(forced.items()):
        for beams, kept in ((3, 1), (5, 3)):
            yield random(f"constrained_{name}_{beams}", 1060 + number, num_beams=beams,
                         num_return_sequences=kept, force_words_ids=words)  # fmt: skip
    ends = {"num_beams": 4, "eos_token_id": [2, 20, 25], "num_return_sequences": 4}
    for early in (False, True, "never"):
        yield random(f"constrained_{early}", 1080, force_words_ids=forced["choice_and_phrase"],
                     early_stopping=early, **ends)  # fmt: skip
    yield random("constrained_processors", 1085, force_words_ids=forced["a_phrase"],
                 repetition_penalty=1.3, no_repeat_ngram_size=2, length_penalty=0.0,
                 bad_words_ids=[[12]], **ends)  # fmt: skip
    yield random("constraints", 1086, constraints=[["phrasal", [7, 8]],
                 ["disjunctive", [[5, 6, 7], [9, 10]]]], **ends)  # fmt: skip
    for beams, kept, stop_at in ((3, 1, 6), (4, 1, 7), (4, 3, 8), (5, 2, 10)):
        yield random(f"constrained_stopped_{beams}_{kept}", 1090 + stop_at, num_beams=beams,
                     num_return_sequences=kept, force_words_ids=forced["a_phrase"],
                     stop_at=stop_at)  # fmt: skip
    yield bundled("constrained_stopped", num_beams=3, force_words_ids=[[99]], stop_at=9)
    yield bundled("constrained", num_beams=4, force_words_ids=[[634], [10, 4]],
                  num_return_sequences=2)  # fmt: skip
    yield bundled("constrained_choice", "texts", num_beams=5, force_words_ids=[[[33], [634, 5]]],
                  num_return_sequences=3)  # fmt: skip


def contrastive() -> Iterator[dict[str, Any]]:
    """Yield calls of contrastive search."""
    for k, alpha in ((2, 0.2), (4, 0.6), (8, 0.9), (4, 1.0), (40, 0.5)):
        k = min(k, CONFIG["vocab_size"])
        yield random(f"contrastive_{k}_{alpha}", 1100, top_k=k, penalty_alpha=alpha)
    yield random("contrastive_one_prompt", 1101, "one", top_k=3, penalty_alpha=0.4)
    yield random("contrastive_ends", 1102, top_k=4, penalty_alpha=0.6, eos_token_id=[2, 20, 25])
    yield random("contrastive_one_token", 1103, top_k=4, penalty_alpha=0.6, max_new_tokens=1)
    yield random("contrastive_processors", 1104, top_k=5, penalty_alpha=0.5,
                 repetition_penalty=1.5, no_repeat_ngram_size=2, min_new_tokens=5,
                 eos_token_id=[2, 20, 25])  # fmt: skip
    yield bundled("contrastive", top_k=4, penalty_alpha=0.6)
    yield bundled("contrastive_mild", top_k=6, penalty_alpha=0.3, repetition_penalty=1.1)


def record(folder: Path) -> None:
    """Write the file."""
    found = [settled(json.loads(json.dumps(call))) for call in calls()]
    names = [call["name"] for call in found]
    if len(set(names)) < len(names):
        raise AssertionError("two calls have the same name")
    path = folder / "beams.json"
    lines = ",\n".join(json.dumps(call, separators=(",", ":")) for call in found)
    head = f'"config": {json.dumps(CONFIG)},\n"prompts": {json.dumps(PROMPTS)}'
    path.write_text(f'{{{head},\n"calls": [\n{lines}\n]}}\n', encoding="utf-8")
    ended = sum(row[-1] in (0, 1, 2) for call in found for row in call["ids"])
    print(f"{path.name}: {len(found)} calls, {path.stat().st_size} bytes, "
          f"about {ended} rows ended early")  # fmt: skip


def settled(call: dict[str, Any]) -> dict[str, Any]:
    """Return the call with its results, and with the seed that makes them clear."""
    seeds = [None] if call["seed"] is None else range(call["seed"], call["seed"] + SEEDS, 100)
    for seed in seeds:
        call["seed"] = seed
        plain = answer(call)
        if all(answer(call, noise)["ids"] == plain["ids"] for noise in range(1, TRIALS + 1)):
            return {**call, **plain}
    raise AssertionError(f"{call['name']}: no seed gives clear decisions")


def answer(call: dict[str, Any], noise: int = 0) -> dict[str, Any]:
    """Return the oracle's new ids, scores of the sequences, and details."""
    if call["seed"] is None:
        model = XGLMForCausalLM.from_pretrained(tiny.PATH, torch_dtype=torch.float32).eval()
    else:
        one = {"config": CONFIG, "seed": call["seed"], "profile": "sharp", "stored": "float32"}
        model, _ = build(one, torch.float32)
    generator = torch.Generator().manual_seed(noise)
    settings = dict(call["settings"])
    if "constraints" in settings:
        kinds = {"phrasal": PhrasalConstraint, "disjunctive": DisjunctiveConstraint}
        settings["constraints"] = [kinds[kind](ids) for kind, ids in settings["constraints"]]
    decay = settings.get("exponential_decay_length_penalty")
    if decay:
        settings["exponential_decay_length_penalty"] = tuple(decay)
    if stop_at := settings.pop("stop_at", None):  # a length
        rule = [lambda ids_BS, scores: ids_BS.shape[1] >= stop_at]
        settings["stopping_criteria"] = StoppingCriteriaList(rule)
    ids_BT = torch.tensor(PROMPTS[call["prompts"]])
    with torch.no_grad():
        if noise:
            for parameter in model.parameters():
                parameter *= 1 + DISTURBED * torch.randn(parameter.shape, generator=generator)
        out = generate(model, ids_BT, settings)
    scores = out.get("sequences_scores")
    found = {
        "ids": [row[ids_BT.shape[1] :] for row in out["sequences"].tolist()],
        "scores": None if scores is None else rounded(scores),
    }
    if call["name"] in DETAILED:
        found["beam_indices"] = out["beam_indices"].tolist()
        parts = model.compute_transition_scores(out.sequences, out.scores, out.beam_indices)
        found["transition_scores"] = rounded(parts)
    return found


def rounded(values: torch.Tensor) -> Any:
    """Return nested lists of numbers with seven places."""
    return values.double().mul(1e7).round().div(1e7).tolist()


def generate(model: XGLMForCausalLM, ids_BT: torch.Tensor, settings: dict[str, Any]) -> Any:
    """Return the structured result; only the sequences where the oracle cannot tell the rest.

    It fails to tell the origin of a sequence that misses its constraints (in
    ``ConstrainedBeamSearchScorer.finalize``), but only if asked for scores.
    """
    settings = {"attention_mask": (ids_BT != 1).long(), **settings}
    try:
        return model.generate(ids_BT, return_dict_in_generate=True, output_scores=True, **settings)
    except RuntimeError as error:
        if "Could not infer dtype of NoneType" not in str(error):
            raise
        return {"sequences": model.generate(ids_BT, **settings)}
