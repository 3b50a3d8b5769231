"""All documented classes, in the order of the documentation."""

from __future__ import annotations

from importlib import import_module

from documented.parts import Documented

#: The modules of this folder that list classes.
MODULES = (
    "configuration",
    "slow_tokenizer",
    "fast_tokenizer",
    "torch_classes",
    "tensorflow_classes",
    "flax_classes",
)

CLASSES: tuple[Documented, ...] = tuple(
    one for module in MODULES for one in import_module(f"documented.{module}").CLASSES
)
