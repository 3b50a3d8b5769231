"""Record what stands around the models in 4.37.2: ``tests/golden/model/api.json``.

Configurations written by one library and read by the other, both ways; the tables
of published checkpoints; numbers of parameters. What pyxglm writes is recorded as
text beside what the oracle read in it, and the tests check that it still writes
that text.
"""

from __future__ import annotations

import ast
import json
import tempfile
from pathlib import Path
from typing import Any

from golden.cases import BASE
from transformers import XGLMConfig, XGLMForCausalLM, XGLMModel
from transformers.models.xglm import configuration_xglm, modeling_xglm
from transformers.models.xglm import tokenization_xglm as slow
from transformers.models.xglm import tokenization_xglm_fast as fast

from pyxglm.config import FIELDS, INHERITED
from pyxglm.config import XGLMConfig as OurConfig

CONFIGS: dict[str, dict[str, Any]] = {
    "default": {},
    "small": BASE,
    "aliases": {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4},
    "switches": {"scale_embedding": False, "use_cache": False, "tie_word_embeddings": False,
                 "add_cross_attention": True, "return_dict": False, "output_attentions": True,
                 "output_hidden_states": True, "tf_legacy_loss": True},
    "rates": {"dropout": 0, "attention_dropout": 0.0, "activation_dropout": 0.25,
              "layerdrop": 1.0, "init_std": 1e-05},
    "tokens": {"pad_token_id": None, "bos_token_id": 5, "eos_token_id": [2, 9],
               "decoder_start_token_id": None},
    "pruned": {"pruned_heads": {3: [0, 2], 0: [15]}},
    "kept": {"torch_dtype": "float16", "architectures": ["XGLMForCausalLM"],
             "activation_function": "gelu_new", "task_specific_params": {"a": {"b": [1, 2.5]}},
             "of_somebody_else": {"é": "語", "n": None}},
}  # fmt: skip


def record(folder: Path) -> None:
    """Write the file."""
    found = {
        "configs": {name: both_ways(fields) for name, fields in CONFIGS.items()},
        "archives": {
            "XGLM_PRETRAINED_CONFIG_ARCHIVE_MAP":
                configuration_xglm.XGLM_PRETRAINED_CONFIG_ARCHIVE_MAP,
            "XGLM_PRETRAINED_MODEL_ARCHIVE_LIST":
                modeling_xglm.XGLM_PRETRAINED_MODEL_ARCHIVE_LIST,
            "TF_XGLM_PRETRAINED_MODEL_ARCHIVE_LIST": tensorflow_list(),
            "VOCAB_FILES_NAMES": slow.VOCAB_FILES_NAMES,
            "FAST_VOCAB_FILES_NAMES": fast.VOCAB_FILES_NAMES,
            "PRETRAINED_VOCAB_FILES_MAP": slow.PRETRAINED_VOCAB_FILES_MAP,
            "FAST_PRETRAINED_VOCAB_FILES_MAP": fast.PRETRAINED_VOCAB_FILES_MAP,
            "PRETRAINED_POSITIONAL_EMBEDDINGS_SIZES": slow.PRETRAINED_POSITIONAL_EMBEDDINGS_SIZES,
        },
        "num_parameters": [
            {"kind": kind.__name__, "config": config, "only_trainable": trainable,
             "exclude_embeddings": excluded,
             "count": kind(XGLMConfig(**config)).num_parameters(trainable, excluded)}
            for kind in (XGLMModel, XGLMForCausalLM)
            for config in (BASE, {**BASE, "tie_word_embeddings": False})
            for trainable in (False, True)
            for excluded in (False, True)
        ],
    }  # fmt: skip
    path = folder / "api.json"
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size} bytes")


def tensorflow_list() -> Any:
    """Read the list of the module that cannot be imported without TensorFlow."""
    path = Path(modeling_xglm.__file__).with_name("modeling_tf_xglm.py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and "ARCHIVE_LIST" in ast.unparse(node.targets[0]):
            return ast.literal_eval(node.value)
    raise AssertionError(f"{path} has no archive list")


def both_ways(fields: dict[str, Any]) -> dict[str, Any]:
    """Write a configuration with both libraries, and read pyxglm's with the oracle."""
    theirs, ours = XGLMConfig(**fields), OurConfig(**fields)
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        text = (Path(folder) / "config.json").read_text(encoding="utf-8")
        ours.save_pretrained(folder)
        read = XGLMConfig.from_pretrained(folder)
        known = {**FIELDS, **INHERITED, **fields}
        values = read.to_dict()
    return {
        "fields": {key: value for key, value in fields.items() if key != "pruned_heads"},
        "pruned_heads": {str(key): heads for key, heads in ours.pruned_heads.items()},
        "theirs": text,
        "ours": ours.to_json_string(),
        "read": {key: values[key] for key in known if key in values},
    }
