"""FlaxXGLMModel and FlaxXGLMForCausalLM, in the calling conventions of Flax."""

from __future__ import annotations

from documented.parts import Documented, Method, rows
from documented.torch_classes import ARGUMENTS, MORE, SWITCHES

OUTPUTS = "frameworks/test_flax_outputs.py::test_real_tokens_agree_by_default"
GREEDY = "frameworks/test_flax_outputs.py::test_greedy_ids"
CALLS = "frameworks/test_flax_calls.py"
ORDER = f"{CALLS}::test_the_signatures_are_those_of_transformers"
MADE = f"{CALLS}::test_construction_is_checked"
APART = f"{CALLS}::test_parameters_are_given_with_each_call"
ABSENT = f"{CALLS}::test_without_initialization_there_are_no_parameters"
DTYPE = f"{CALLS}::test_the_dtype_is_of_the_computation_only"
CACHE = f"{CALLS}::test_the_static_cache"
TRAINING = f"{CALLS}::test_training_drops"
STORAGE = f"{CALLS}::test_storage_of_parameters"
CROSS = "frameworks/test_flax_quirks.py::test_cross_attention_works_unless_compat"
FRESH = "frameworks/test_flax_quirks.py::test_fresh_parameters"
SAVED = "frameworks/test_flax_files.py::test_a_round_trip"

MADE_OF = rows(
    MADE,
    ("config", None, "an XGLMConfig"),
    ("input_shape", "(1, 1)", "shape of the input that parameters are made for"),
    ("seed", "0", "seed of random initial weights", FRESH),
    ("dtype", "'float32'", "dtype to compute in; parameters stay as they are stored", DTYPE),
    ("_do_init", "True", "whether the model holds parameters", ABSENT),
)
IDS = ("input_ids", None, "token ids (B, T)")
#: The same words as PyTorch's, whose rows name its own tests.
CALL = rows(
    OUTPUTS,
    IDS,
    *ARGUMENTS[1:3],
    *((*row, CROSS) for row in ARGUMENTS[3:5]),
    *(row[:3] for row in SWITCHES[1:]),
    ("train", "False", "drop as configured", TRAINING),
    ("params", "None", "parameters to compute with, in place of the model's", APART),
    ("past_key_values", "None", "the static cache of `init_cache`, or of an earlier call", CACHE),
    ("dropout_rng", "None", "what `train` draws from", TRAINING),
)
RETURNED = tuple(
    (name, default, "the cache, if one was given" if name == "past_key_values" else means)
    for name, default, means in MORE
)
INHERITED = (
    Method("from_pretrained", "open a checkpoint, of Flax's or any other format", SAVED),
    Method("save_pretrained", "write one", SAVED),
    Method("to_fp16", "the parameters in float16", STORAGE),
    Method("to_bf16", "the parameters in bfloat16", STORAGE),
    Method("init_cache", "an empty static cache", CACHE),
)

CLASSES = (
    Documented(
        "FlaxXGLMModel",
        "the decoder without an output head",
        OUTPUTS,
        MADE_OF,
        (
            Method(
                "__call__", "compute hidden states", ORDER, CALL,
                "outputs.BaseModelOutputWithPastAndCrossAttentions",
                rows(OUTPUTS, ("last_hidden_state", None, "(B, T, D), after the last norm"),
                     *RETURNED),
            ),
            *INHERITED,
        ),
    ),
    Documented(
        "FlaxXGLMForCausalLM",
        "the decoder with its head, which is tied to the embedding",
        OUTPUTS,
        MADE_OF,
        (
            Method(
                "__call__", "compute logits", ORDER, CALL,
                "outputs.CausalLMOutputWithCrossAttentions",
                rows(OUTPUTS, ("logits", None, "(B, T, V): scores of the next token"), *RETURNED),
            ),
            *INHERITED,
            Method("generate", "continue texts", GREEDY),
        ),
    ),
)  # fmt: skip
