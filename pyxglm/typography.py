"""The spaces around English typography that decoding may take out again."""

#: What `clean_up_tokenization_spaces` replaces, in this order, by what; as transformers does.
CLEANUPS = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)
