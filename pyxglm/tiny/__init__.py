"""The bundled model: a small XGLM, trained on facts that this project wrote down itself.

The directory holds an ordinary checkpoint (``config.json``, ``model.safetensors``,
``sentencepiece.bpe.model`` …) next to the scripts that made it.  Importing this module costs
nothing; the corpus, the evaluation and the training script load on their own.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["PATH"]

PATH: Path = Path(__file__).resolve().parent
"""The checkpoint's directory: ``XGLMForCausalLM.from_pretrained(pyxglm.tiny.PATH)``."""
