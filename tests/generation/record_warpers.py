"""Record what transformers 4.37.2's warpers keep: ``python record_warpers.py``.

Needs torch and transformers 4.37.2; the tests need only the file it writes.
Scores lie on a coarse grid, so that top-k meets ties; top-p's lie at random,
because the order in which torch sorts equal scores is nobody's promise; so do
typical's.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers.generation.configuration_utils import GenerationConfig
from transformers.generation.utils import GenerationMixin

FILE = Path(__file__).with_name("warpers.json")

SETTINGS = [
    {"temperature": 0.7},
    {"temperature": 3.0, "top_k": 0},
    {"top_k": 1},
    {"top_k": 5},
    {"top_k": 1000},
    {"top_k": 0, "top_p": 0.9},
    {"top_k": 0, "top_p": 0.05},
    {"top_k": 0, "top_p": 0.999},
    {"top_k": 10, "top_p": 0.8, "temperature": 1.7},
    {"top_k": 3, "top_p": 0.3, "temperature": 0.5},
    {"top_k": 0, "typical_p": 0.9},
    {"top_k": 0, "typical_p": 0.2},
    {"top_k": 10, "typical_p": 0.5},
    {"top_k": 0, "epsilon_cutoff": 0.02},
    {"top_k": 0, "epsilon_cutoff": 0.9},
    {"top_k": 0, "eta_cutoff": 0.02},
    {"top_k": 0, "eta_cutoff": 0.6},
    {"top_k": 20, "top_p": 0.95, "typical_p": 0.8, "epsilon_cutoff": 0.03, "eta_cutoff": 0.01},
    {"top_k": 1, "num_beams": 2},
    {"top_k": 0, "top_p": 0.01, "num_beams": 2, "eos_token_id": [2, 3]},
    {"top_k": 0, "typical_p": 0.05, "num_beams": 2},
    {"top_k": 0, "epsilon_cutoff": 0.9, "num_beams": 2},
    {"top_k": 0, "eta_cutoff": 0.9, "num_beams": 2, "renormalize_logits": True},
]


def main() -> None:
    """Write the cases."""
    random = torch.Generator().manual_seed(2024)
    cases = []
    for settings in SETTINGS:
        scores = torch.randn(3, 40, generator=random) * 2
        if not {"top_p", "typical_p"} & set(settings):
            scores = (scores * 2).round() / 2
        warpers = GenerationMixin()._get_logits_warper(GenerationConfig(do_sample=True, **settings))
        warped = warpers(torch.zeros(3, 1, dtype=torch.long), scores).tolist()
        cases.append(
            {
                "settings": settings,
                "scores": scores.tolist(),
                "warped": [[None if v == -torch.inf else v for v in row] for row in warped],
            }
        )
    FILE.write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
