"""TFXGLMModel and TFXGLMForCausalLM, in the calling conventions of TensorFlow."""

from __future__ import annotations

from documented.parts import Documented, Method, Part, rows
from documented.torch_classes import ARGUMENTS, LABELS, MORE, SWITCHES

OUTPUTS = "frameworks/test_tensorflow_outputs.py::test_real_tokens_agree_by_default"
CALLS = "frameworks/test_tensorflow_calls.py"
ORDER = f"{CALLS}::test_call_takes_the_arguments_of_transformers_in_order"
FORMS = f"{CALLS}::test_every_form_gives_the_same"
MADE = f"{CALLS}::test_construction"
TRAINING = f"{CALLS}::test_training_drops_and_its_generator_goes_on"
CACHE = f"{CALLS}::test_the_cache_is_a_tuple_of_tuples_and_a_cache_object_serves"
GREEDY = "frameworks/test_tensorflow_outputs.py::test_greedy_ids"
SAVED = "frameworks/test_tensorflow_files.py::test_a_round_trip_keeps_the_head"
HEAD = "frameworks/test_tensorflow_quirks.py::test_the_head_is_a_matrix_of_its_own"

FIRST = (
    ("input_ids", "None", "token ids (B, T); or the inputs in this order, in a list or tuple; or"
     " by name, in a dict", FORMS),
)  # fmt: skip
#: The same words as PyTorch's, whose rows name its own tests.
ARRAYS = tuple((*row, CACHE) if row[0] == "past_key_values" else row for row in ARGUMENTS[1:])
TRAINED = (("training", "False", "drop as configured", TRAINING),)
SWITCHED = tuple(row[:3] for row in SWITCHES)
MADE_OF = (
    Part("config", "an XGLMConfig", MADE),
    Part("embed_tokens", "an embedding to use", MADE, "None"),
)
INHERITED = (
    Method("from_pretrained", "open a checkpoint, of TensorFlow's or any other format", SAVED),
    Method("save_pretrained", "write one", SAVED),
)

CLASSES = (
    Documented(
        "TFXGLMModel",
        "the decoder without an output head",
        OUTPUTS,
        MADE_OF,
        (
            Method(
                "call", "compute hidden states; the model itself may be called so", ORDER,
                rows(OUTPUTS, *FIRST, *ARRAYS, *SWITCHED, *TRAINED),
                "outputs.BaseModelOutputWithPastAndCrossAttentions",
                rows(OUTPUTS, ("last_hidden_state", None, "(B, T, D), after the last norm"), *MORE),
            ),
            *INHERITED,
        ),
        open_ended=True,
    ),
    Documented(
        "TFXGLMForCausalLM",
        "the decoder with an output head, a matrix of its own",
        HEAD,
        MADE_OF,
        (
            Method(
                "call", "compute logits, and a loss; the model itself may be called so", ORDER,
                rows(OUTPUTS, *FIRST, *ARRAYS, *LABELS, *SWITCHED, *TRAINED),
                "outputs.CausalLMOutputWithCrossAttentions",
                rows(OUTPUTS,
                     ("loss", None, "loss of the next tokens, (1,); with `tf_legacy_loss` one of"
                      " each token that counts"),
                     ("logits", None, "(B, T, V): scores of the next token"), *MORE),
            ),
            *INHERITED,
            Method("generate", "continue texts", GREEDY),
        ),
        open_ended=True,
    ),
)  # fmt: skip
