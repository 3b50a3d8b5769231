"""XGLMModel and XGLMForCausalLM, in the calling conventions of PyTorch."""

from __future__ import annotations

from documented.parts import Documented, Method, Part, rows

OUTPUTS = "parity/test_outputs.py::test_outputs_agree"
BARE = "model/test_bare.py::test_every_argument_does_what_it_does_with_a_head"
BARE_OUTPUTS = "parity/test_outputs.py::test_the_bare_model"
ASKED = "model/test_outputs.py::test_each_result_is_there_if_asked_for"
TUPLES = "model/test_outputs.py::test_the_order_of_a_tuple"
RETURN = "model/test_outputs.py::test_return_dict_of_the_configuration"
DISK = "model/test_disk.py::test_round_trip"

ARGUMENTS = (
    ("input_ids", "None", "token ids (B, T)"),
    ("attention_mask", "None", "(B, S), 1 for real tokens, over past and new ones; or"
     " (B, 1, T, S), in place of the causal rule"),
    ("position_ids", "None", "(B, T): where each token stands; default: counted on from the past"),
    ("encoder_hidden_states", "None", "(B, E, D), for cross-attention"),
    ("encoder_attention_mask", "None", "(B, E), 1 for real states of the encoder"),
    ("head_mask", "None", "(L, H): factors on the attention weights of each head"),
    ("cross_attn_head_mask", "None", "the same for cross-attention"),
    ("past_key_values", "None", "the cache of an earlier call: L times 2 or, with an encoder, 4"
     " arrays"),
    ("inputs_embeds", "None", "(B, T, D), in place of ids"),
)  # fmt: skip
LABELS = (("labels", "None", "(B, T) ids to be predicted; -100 does not count"),)
SWITCHES = (
    ("use_cache", "None", "return the cache", ASKED),
    ("output_attentions", "None", "return attention weights", ASKED),
    ("output_hidden_states", "None", "return the hidden states of all layers", ASKED),
    ("return_dict", "None", "return named results, not a tuple", RETURN),
)
MORE = (
    ("past_key_values", None, "the cache, if asked for"),
    ("hidden_states", None, "L + 1 times (B, T, D): the embedded input, each layer's output, the"
     " last one normed"),
    ("attentions", None, "L times (B, H, T, S): weights after the softmax"),
    ("cross_attentions", None, "L times (B, H, T, E), if there is an encoder"),
)  # fmt: skip
INHERITED = (
    Method("from_pretrained", "open a checkpoint", DISK),
    Method("save_pretrained", "write one", DISK),
    Method("resize_token_embeddings", "change the size of the vocabulary",
           "parity/test_facts.py::test_resize_token_embeddings"),
    Method("get_input_embeddings", "the token embedding",
           "model/test_vocabulary.py::test_the_embedding_is_callable_and_is_the_models_own"),
    Method("prune_heads", "cut out attention heads",
           "parity/test_facts.py::test_pruned_heads_are_noted_and_gone"),
    Method("train", "switch training mode on: dropout and LayerDrop, from a seed",
           "model/test_training.py::test_it_is_off_until_asked_for"),
    Method("eval", "switch it off", "model/test_training.py::test_it_is_off_until_asked_for"),
    Method("to", "store the weights in another dtype",
           "model/test_storage.py::test_storage_by_any_name_of_a_dtype"),
)  # fmt: skip

CLASSES = (
    Documented(
        "XGLMModel",
        "the decoder without an output head",
        BARE_OUTPUTS,
        (
            Part("config", "an XGLMConfig", BARE_OUTPUTS),
            Part("embed_tokens", "an embedding to use",
                 "model/test_vocabulary.py::test_matrices_may_come_as_objects_arrays_or_lists",
                 "None"),
        ),
        (
            Method(
                "forward", "compute hidden states; the model itself may be called so", BARE,
                rows(BARE, *ARGUMENTS, *SWITCHES),
                "outputs.BaseModelOutputWithPastAndCrossAttentions",
                rows(BARE_OUTPUTS, ("last_hidden_state", None, "(B, T, D), after the last norm"),
                     *MORE),
            ),
            *INHERITED,
        ),
    ),
    Documented(
        "XGLMForCausalLM",
        "the decoder with its head, which is tied to the embedding",
        OUTPUTS,
        (Part("config", "an XGLMConfig", OUTPUTS),),
        (
            Method(
                "forward", "compute logits, and a loss; the model itself may be called so", OUTPUTS,
                rows(OUTPUTS, *ARGUMENTS, *LABELS, *SWITCHES),
                "outputs.CausalLMOutputWithCrossAttentions",
                rows(OUTPUTS,
                     ("loss", None, "mean loss of the next tokens; `loss_type` says which mean"),
                     ("logits", None, "(B, T, V): scores of the next token"), *MORE),
            ),
            *INHERITED,
            Method("generate", "continue texts", "parity/test_greedy.py::test_greedy_ids"),
        ),
    ),
)  # fmt: skip
