"""XGLMConfig."""

from __future__ import annotations

from documented.parts import Documented, Method, rows

DEFAULTS = "model/test_config.py::test_defaults"
OUTPUTS = "parity/test_outputs.py::test_outputs_agree"
GREEDY = "parity/test_greedy.py::test_greedy_ids"
SHAPES = "model/test_construction.py::test_num_parameters"
WHOLE = "model/test_decoder.py::test_the_whole_model"
READ = "parity/test_api.py::test_what_transformers_writes_is_read"
WRITTEN = "parity/test_api.py::test_what_is_written_transformers_reads"

CLASSES = (
    Documented(
        "XGLMConfig",
        "what one XGLM is made of",
        READ,
        rows(
            OUTPUTS,
            ("vocab_size", "256008", "rows of the embedding"),
            ("max_position_embeddings", "2048", "positions of the table at first; it grows"),
            ("d_model", "1024", "width of the hidden states"),
            ("ffn_dim", "4096", "width of the feed-forward part"),
            ("num_layers", "24", "number of layers"),
            ("attention_heads", "16", "heads of each attention"),
            ("activation_function", "'gelu'", "name of the feed-forward's activation (a function"
             " is refused: transformers looks it up as a name, too)"),
            ("dropout", "0.1", "in training mode: of embeddings and of what each part adds"),
            ("attention_dropout", "0.1", "in training mode: of attention weights"),
            ("activation_dropout", "0.0", "in training mode: of activations"),
            ("layerdrop", "0.0", "in training mode: of whole layers"),
            ("init_std", "0.02", "deviation of random initial weights",
             "model/test_construction.py::test_random_weights"),
            ("scale_embedding", "True", "multiply embeddings by the root of the width", WHOLE),
            ("use_cache", "True", "whether a call returns its cache unless it says otherwise"),
            ("decoder_start_token_id", "2", "id that begins a text", WRITTEN),
            ("pad_token_id", "1", "id of padding; its position and its embedding's row are zero"),
            ("bos_token_id", "0", "id of an empty prompt",
             "generation/test_prompts.py::test_an_empty_prompt_is_bos"),
            ("eos_token_id", "2", "id or ids that end generation", GREEDY),
        ),
        (
            Method("from_pretrained", "read config.json of a directory or a hub id", READ),
            Method("save_pretrained", "write config.json", WRITTEN),
            Method("to_dict", "all fields", WRITTEN),
            Method("to_json_string", "the text of config.json", WRITTEN),
        ),
        open_ended=True,
    ),
)  # fmt: skip
