"""What a setting of `generate` may be, and which ones contradict each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

#: Settings that are whole numbers: the least, and whether None turns them off.
_INTEGERS = {
    "max_length": (1, False),
    "max_new_tokens": (1, True),
    "min_length": (0, True),
    "min_new_tokens": (0, True),
    "seed": (0, False),
    "num_beams": (1, False),
    "num_beam_groups": (1, False),
    "top_k": (0, True),
    "no_repeat_ngram_size": (0, True),
    "encoder_no_repeat_ngram_size": (0, True),
    "num_return_sequences": (1, False),
    "forced_bos_token_id": (0, True),
    "pad_token_id": (0, True),
    "bos_token_id": (0, True),
    "decoder_start_token_id": (0, True),
    "num_assistant_tokens": (1, False),
    "prompt_lookup_num_tokens": (1, True),
}

_ABOVE_0: Callable[[float], bool] = lambda value: value > 0  # noqa: E731
_FROM_0: Callable[[float], bool] = lambda value: value >= 0  # noqa: E731

#: Settings that are numbers: which, in a condition and in words, and whether None is allowed.
_NUMBERS: dict[str, tuple[Callable[[float], bool], str, bool]] = {
    "max_time": (_ABOVE_0, "a finite number above 0", True),
    "temperature": (_ABOVE_0, "a finite number above 0", True),
    "top_p": (lambda value: 0 < value <= 1, "above 0 and at most 1", True),
    "min_p": (lambda value: 0 <= value <= 1, "from 0 to 1", True),
    "typical_p": (lambda value: 0 < value <= 1, "above 0 and at most 1", True),
    "epsilon_cutoff": (lambda value: 0 <= value < 1, "0 or more and below 1", True),
    "eta_cutoff": (lambda value: 0 <= value < 1, "0 or more and below 1", True),
    "penalty_alpha": (lambda value: 0 <= value <= 1, "from 0 to 1", True),
    "diversity_penalty": (_FROM_0, "a finite number, 0 or more", False),
    "repetition_penalty": (_ABOVE_0, "a finite number above 0", True),
    "encoder_repetition_penalty": (_ABOVE_0, "a finite number above 0", True),
    "length_penalty": (lambda value: True, "a finite number", False),
    "guidance_scale": (_FROM_0, "a finite number, 0 or more", True),
}

_SWITCHES = (
    "do_sample", "use_cache", "renormalize_logits", "remove_invalid_values", "output_attentions",
    "output_hidden_states", "output_scores", "output_logits", "output_log_probs",
    "return_dict_in_generate", "ignore_padding",
)  # fmt: skip

_CHOICES: dict[str, tuple[Any, ...]] = {
    "early_stopping": (True, False, "never"),
    "low_memory": (True, False, None),
    "num_assistant_tokens_schedule": ("heuristic", "constant"),
    "newline": ("space", "eos"),
}


def check_values(values: Mapping[str, Any]) -> None:
    """Check each setting by itself.

    Raises
    ------
    TypeError, ValueError
        Naming the first one that cannot be, and what was expected.
    """
    for name in _SWITCHES:
        if not isinstance(values[name], (bool, np.bool_)):
            raise TypeError(f"{name} is {values[name]!r}, expected True or False")
    for name, (least, optional) in _INTEGERS.items():
        if not (optional and values[name] is None):
            check_integer(name, values[name], least)
    for name, (allowed, words, optional) in _NUMBERS.items():
        if not (optional and values[name] is None):
            _check_number(name, values[name], allowed, words)
    for name, choices in _CHOICES.items():
        value = values[name]
        if not any(value is one or (isinstance(one, str) and value == one) for one in choices):
            raise ValueError(f"{name} is {value!r}, expected {_either(choices)}")
    for name in ("eos_token_id", "forced_eos_token_id"):
        if isinstance(values[name], (list, tuple)):
            _check_ids(name, values[name])
        elif values[name] is not None:
            check_integer(name, values[name], 0)
    for name in ("suppress_tokens", "begin_suppress_tokens"):
        if values[name] is not None:
            _check_ids(name, values[name], empty=True)
    for name, value in id_lists(values):
        _check_ids(name, value)
    for index, pair in enumerate(_listed("forced_decoder_ids", values["forced_decoder_ids"])):
        name = f"forced_decoder_ids[{index}]"
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise TypeError(f"{name} is {pair!r}, expected a pair: the place and the id")
        check_integer(f"{name}[0]", pair[0], 0)
        if pair[1] is not None:  # None: nothing is forced at that place
            check_integer(f"{name}[1]", pair[1], 0)
    for ids, bias in pairs_of_bias(values["sequence_bias"]):
        if isinstance(bias, bool) or not isinstance(bias, (int, float, np.number)):
            raise TypeError(f"sequence_bias of {tuple(ids)} is {bias!r}, expected a number")
    decay = values["exponential_decay_length_penalty"]
    if decay is not None:
        name = "exponential_decay_length_penalty"
        if not isinstance(decay, (list, tuple)) or len(decay) != 2:
            raise TypeError(f"{name} is {decay!r}, expected a pair: where it begins, and a factor")
        check_integer(f"{name}[0]", decay[0], 0)
        _check_number(f"{name}[1]", decay[1], _ABOVE_0, "a finite number above 0")
    stops = values["stop_strings"]
    stops = [stops] if isinstance(stops, str) else _listed("stop_strings", stops)
    for index, text in enumerate(stops):
        if not isinstance(text, str) or not text:
            raise TypeError(f"stop_strings[{index}] is {text!r}, expected a text, not empty")
    if not isinstance(values["generation_kwargs"], dict):
        raise TypeError(f"generation_kwargs is {values['generation_kwargs']!r}, expected a dict")


def stop_texts(value: Any) -> list[str]:
    """Return the texts that end a row: none, one or several."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def pairs_of_bias(value: Any) -> list[tuple[tuple[int, ...], float]]:
    """Return the pairs of a `sequence_bias`, a dict or a list of pairs.

    >>> pairs_of_bias({(5,): 2.0}), pairs_of_bias([[[5, 6], -1.0]])
    ([((5,), 2.0)], [((5, 6), -1.0)])
    """
    if value is None:
        return []
    pairs = list(value.items()) if isinstance(value, Mapping) else _listed("sequence_bias", value)
    if not pairs:
        raise ValueError("sequence_bias is empty, expected ids and numbers, or None")
    for pair in pairs:
        fits = isinstance(pair, (list, tuple)) and len(pair) == 2
        if not fits or not isinstance(pair[0], (list, tuple)):
            raise TypeError(f"sequence_bias has the entry {pair!r}, expected (ids, number)")
    return [(tuple(ids), bias) for ids, bias in pairs]


def id_lists(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every list of ids that is part of a setting, with a name for messages."""
    for index, ids in enumerate(_listed("bad_words_ids", values["bad_words_ids"])):
        yield f"bad_words_ids[{index}]", ids
    for index, (ids, _) in enumerate(pairs_of_bias(values["sequence_bias"])):
        yield f"sequence_bias[{index}]", ids
    for index, word in enumerate(_listed("force_words_ids", values["force_words_ids"])):
        name = f"force_words_ids[{index}]"
        forms = _listed(name, word)
        if not any(isinstance(form, (list, tuple)) for form in forms):
            yield name, word
            continue
        for number, form in enumerate(forms):
            yield f"{name}[{number}]", form


def check_vocabulary(values: Mapping[str, Any], V: int) -> None:
    """Refuse ids that a model with a vocabulary of V tokens does not have.

    Raises
    ------
    ValueError
        Naming the first one.
    """
    single = ("forced_bos_token_id", "pad_token_id", "bos_token_id")
    lists: list[tuple[str, Any]] = [(name, [values[name]]) for name in single]
    for name in ("forced_eos_token_id", "suppress_tokens", "begin_suppress_tokens"):
        value = values[name]
        lists.append((name, value if isinstance(value, (list, tuple)) else [value]))
    lists.extend(id_lists(values))
    lists.append(("forced_decoder_ids", [id_ for _, id_ in values["forced_decoder_ids"] or ()]))
    for name, ids in lists:
        for id_ in ids:
            if id_ is not None and id_ >= V:
                raise ValueError(f"{name} has the id {id_}, expected one from 0 to {V - 1}")


def check_relations(settings: Any) -> None:
    """Refuse settings that contradict each other.

    Raises
    ------
    ValueError
        With the names, the values and the reason.
    """
    beams, groups = settings.num_beams, settings.num_beam_groups
    forced = [n for n in ("constraints", "force_words_ids") if getattr(settings, n) is not None]
    contrastive = bool(settings.penalty_alpha)
    if groups > 1 or settings.diversity_penalty:
        _refuse(settings.do_sample, "do_sample", True, "groups of beams are not drawn", False)
        if beams % groups:
            raise ValueError(
                f"num_beams is {beams}, expected a multiple of num_beam_groups, which is {groups}"
            )
        if groups == 1:
            raise ValueError(
                f"diversity_penalty is {settings.diversity_penalty}, expected 0.0: it keeps groups"
                " of beams apart, and num_beam_groups is 1"
            )
        if not settings.diversity_penalty:
            raise ValueError(
                f"diversity_penalty is 0.0, expected more: the {groups} groups of beams would be"
                " the same"
            )
    for name in forced:
        _refuse(settings.do_sample, "do_sample", True, f"{name} need a beam search", False)
        _refuse(groups > 1, "num_beam_groups", groups, f"{name} need a single group", 1)
        _refuse(beams == 1, "num_beams", 1, f"{name} need a beam search", "2 or more")
    if contrastive:
        why = "penalty_alpha asks for contrastive search"
        _refuse(settings.do_sample, "do_sample", True, why, False)
        _refuse(beams > 1, "num_beams", beams, why, 1)
        _refuse((settings.top_k or 0) < 2, "top_k", settings.top_k, why, "2 or more")
        _refuse(not settings.use_cache, "use_cache", False, why, True)
    if settings.prompt_lookup_num_tokens is not None:
        check_speculation(settings, "prompt_lookup_num_tokens")
    several = settings.num_return_sequences
    if several > 1 and beams == 1 and not settings.do_sample:
        raise ValueError(
            f"num_return_sequences is {several}, expected 1: without do_sample=True or num_beams"
            " there is one text for each prompt"
        )
    if beams > 1 and several > beams:
        raise ValueError(
            f"num_return_sequences is {several}, expected at most num_beams, which is {beams}"
        )
    least, most = settings.min_new_tokens, settings.max_new_tokens
    if least is not None and most is not None and least > most:
        raise ValueError(
            f"min_new_tokens is {least}, expected at most max_new_tokens, which is {most}"
        )


def check_speculation(settings: Any, what: str) -> None:
    """Refuse what cannot be had together with proposed tokens (`what` asks for them)."""
    why = f"{what} proposes tokens for a single text"
    _refuse(settings.num_beams > 1, "num_beams", settings.num_beams, why, 1)
    _refuse(bool(settings.penalty_alpha), "penalty_alpha", settings.penalty_alpha, why, None)
    several = settings.num_return_sequences
    _refuse(several > 1, "num_return_sequences", several, why, 1)
    _refuse(not settings.use_cache, "use_cache", False, why, True)


def _refuse(wrong: bool, name: str, value: Any, why: str, expected: Any) -> None:
    if wrong:
        raise ValueError(f"{name} is {value!r}, expected {expected}: {why}")


def check_integer(name: str, value: object, least: int) -> None:
    """Refuse what is not a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r}, expected an integer")
    if value < least:
        raise ValueError(f"{name} is {value}, expected {least} or more")


def _check_number(name: str, value: Any, allowed: Callable[[float], bool], words: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} is {value!r}, expected a number")
    if not (np.isfinite(value) and allowed(float(value))):
        raise ValueError(f"{name} is {value}, expected {words}")


def _check_ids(name: str, value: Any, empty: bool = False) -> None:
    ids = _listed(name, value)
    if not ids and not empty:
        raise ValueError(f"{name} is an empty list, expected ids or None")
    for index, id_ in enumerate(ids):
        check_integer(f"{name}[{index}]", id_, 0)


def _listed(name: str, value: Any) -> list[Any]:
    """Return the entries of a list; of None, none."""
    if value is None:
        return []
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise TypeError(f"{name} is {value!r}, expected a list")
    return list(value)


def _either(choices: tuple[Any, ...]) -> str:
    """Join choices.

    >>> _either((True, False, "never"))
    "True, False or 'never'"
    """
    *first, last = map(repr, choices)
    return f"{', '.join(first)} or {last}"
