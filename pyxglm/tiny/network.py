"""XGLM in torch, for training only: the maths of ``decoder.py``, its tensors under XGLM's names.

Nothing of the package imports this module; only :mod:`pyxglm.tiny.train` does.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

__all__ = ["Network", "position_table"]


def position_table(length: int, width: int) -> torch.Tensor:
    """Return XGLM's sinusoidal table for positions 0 … length−1: sines, then cosines.

    Logical position p reads row p + 2 of the table that transformers builds, hence the offset.
    """
    half = width // 2
    frequencies = torch.exp(-math.log(10000) / (half - 1) * torch.arange(half))
    angles = (torch.arange(length)[:, None] + 2) * frequencies
    return torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        q, k, v = (
            projection(x).view(batch, tokens, self.heads, -1).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        # Written out: torch's fused attention spends far longer in its backward pass on a CPU.
        scores = q @ k.transpose(2, 3) * (width // self.heads) ** -0.5
        future = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(future, float("-inf")).softmax(-1) @ v
        joined: torch.Tensor = self.out_proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return joined


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int, ffn: int) -> None:
        super().__init__()
        self.self_attn = _Attention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, ffn)
        self.fc2 = nn.Linear(ffn, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.self_attn(self.self_attn_layer_norm(x))
        fed: torch.Tensor = self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))
        return x + fed


class _Decoder(nn.Module):
    def __init__(self, vocabulary: int, width: int, layers: int, heads: int, ffn: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(_Layer(width, heads, ffn) for _ in range(layers))
        self.layer_norm = nn.LayerNorm(width)


class Network(nn.Module):
    """XGLM with a tied head and fixed positions; ``state_dict`` has transformers' names."""

    positions: torch.Tensor

    def __init__(
        self, vocabulary: int, width: int, layers: int, heads: int, ffn: int, window: int
    ) -> None:
        super().__init__()
        self.model = _Decoder(vocabulary, width, layers, heads, ffn)
        self.scale = math.sqrt(width)
        self.register_buffer("positions", position_table(window, width), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                # Layers that write into the residual stream start smaller, as in GPT-2.
                deep = name.endswith(("out_proj.weight", "fc2.weight"))
                deviation = 0.04 / math.sqrt(2 * layers) if deep else 0.04
                nn.init.normal_(parameter, std=deviation)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the mean next-token loss of windows (B, T + 1)."""
        ids, labels = tokens[:, :-1], tokens[:, 1:]
        x = self.model.embed_tokens(ids) * self.scale + self.positions[: ids.shape[1]]
        for layer in self.model.layers:
            x = layer(x)
        logits = self.model.layer_norm(x) @ self.model.embed_tokens.weight.T
        return F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten().long())

    def next_logits(self, ids: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, V) at position ``last`` (B,) of right-padded prompts (B, T)."""
        x = self.model.embed_tokens(ids) * self.scale + self.positions[: ids.shape[1]]
        for layer in self.model.layers:
            x = layer(x)
        rows = x[torch.arange(len(ids)), last]
        logits: torch.Tensor = self.model.layer_norm(rows) @ self.model.embed_tokens.weight.T
        return logits
