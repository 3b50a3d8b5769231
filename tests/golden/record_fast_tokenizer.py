"""Record what the fast XGLMTokenizerFast of transformers 4.37.2 returns.

Run it in an environment that has transformers 4.37.2 with tokenizers 0.15.2,
sentencepiece and protobuf, and the repository on the path::

    PYTHONPATH=. python tests/golden/record_fast_tokenizer.py

It writes ``tests/golden/tokenizer/fast.json.xz``:

``scenarios``
    the results of `fast_grid.SCENARIOS`, a list a scenario;
``differences``
    for two models, and each of `fast_grid.DIFFERENCES`, the result of the slow
    tokenizer, of the fast one converted from the model, and of a file like the
    published one;
``alignments``
    for three models, and each of `tokenizer_texts.TEXTS`, the offsets that
    sentencepiece itself (0.2.3) gives in characters;
``pairs``
    a sentencepiece model of the BPE kind in base64, and its converter's results
    for each of `tokenizer_texts.TEXTS`;
``bpe``
    a byte-level BPE trained on ``corpus.txt``, the content of its
    tokenizer.json: some scenarios are about it, on PreTrainedTokenizerFast.
"""

from __future__ import annotations

import base64
import json
import logging
import lzma
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FOLDER = HERE / "tokenizer"
RESULTS = FOLDER / "fast.json.xz"


def results() -> dict[str, Any]:
    """Return what was recorded."""
    document: dict[str, Any] = json.loads(lzma.decompress(RESULTS.read_bytes()))
    return document


def train_byte_level() -> dict[str, Any]:
    """Train a small tokenizer of the kind of InCoder's."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<|endoftext|>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    lines = (FOLDER / "corpus.txt").read_text(encoding="utf-8").splitlines()
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A",
        pair="<|endoftext|> $A <|endoftext|> $B",
        special_tokens=[("<|endoftext|>", tokenizer.token_to_id("<|endoftext|>"))],
    )
    return json.loads(tokenizer.to_str())


def train_pairs(path: Path) -> bytes:
    """Train a sentencepiece model of the BPE kind."""
    import sentencepiece

    lines = (FOLDER / "corpus.txt").read_text(encoding="utf-8").splitlines()
    with path.open("wb") as writer:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=writer,
            model_type="bpe",
            vocab_size=450,
            character_coverage=0.98,
            normalization_rule_name="identity",
            pad_id=-1,
            unk_id=0,
            bos_id=1,
            eos_id=2,
            minloglevel=2,
            num_threads=1,
        )
    return path.read_bytes()


def check_documents(models: Path, make: Any) -> None:
    """Check that our documents are what transformers writes."""
    for path in sorted(models.glob("*.model")):
        theirs = json.loads(make(str(path)).backend_tokenizer.to_str())
        ours = json.loads(path.with_name(f"{path.stem}-saved.json").read_text(encoding="utf-8"))
        theirs["model"].pop("byte_fallback")
        assert ours == theirs, path


def main() -> None:
    """Record."""
    import transformers
    from sentencepiece import SentencePieceProcessor
    from transformers import AddedToken, PreTrainedTokenizerFast, XGLMTokenizer, XGLMTokenizerFast

    assert transformers.__version__ == "4.37.2", transformers.__version__
    logging.disable(logging.ERROR)
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(HERE.parent))
    from golden.fast_grid import DIFFERENCES, SCENARIOS
    from golden.record_tokenizer import unpack_models
    from golden.tokenizer_documents import write_documents
    from golden.tokenizer_grid import run_scenario
    from golden.tokenizer_texts import TEXTS

    results = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        unpack_models(folder)
        write_documents(folder)
        check_documents(folder, XGLMTokenizerFast)
        bpe = train_byte_level()
        (folder / "bpe.json").write_text(json.dumps(bpe), encoding="utf-8")
        for number, scenario in enumerate(SCENARIOS):
            make = PreTrainedTokenizerFast if scenario[0] == "bpe" else XGLMTokenizerFast
            place = folder / f"scenario{number}"
            # The library raises bare Exceptions, and panics that are not even those.
            errors = (BaseException,)
            results.append(run_scenario(scenario, make, AddedToken, folder, place, errors))
        operations = [*DIFFERENCES.values()]
        differences = {}
        for model in ("large", "identity"):
            columns = [
                run_scenario((name, {}, operations), make, AddedToken, folder, folder / "x", errors)
                for name, make in (
                    (model, XGLMTokenizer),
                    (model, XGLMTokenizerFast),
                    (f"{model}-hub", XGLMTokenizerFast),
                )
            ]
            differences[model] = dict(zip(DIFFERENCES, zip(*columns, strict=True), strict=True))
        alignments = {}
        for model in ("large", "bytes", "identity"):
            processor = SentencePieceProcessor(model_file=str(folder / f"{model}.model"))
            found = (processor.encode(text, return_type="offset_mapping") for text in TEXTS)
            alignments[model] = [encoding["offsets"] for encoding in found]
        trained = train_pairs(folder / "pairs.model")
        operations = [("vocabulary",), *(("encode", [text], {}) for text in TEXTS)]
        scenario = ("pairs", {}, operations)
        pairs = run_scenario(scenario, XGLMTokenizerFast, AddedToken, folder, folder / "x", errors)
    document = {
        "pairs": {"model": base64.b64encode(trained).decode(), "results": pairs},
        "bpe": bpe,
        "alignments": alignments,
        "differences": differences,
        "scenarios": results,
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    packed = lzma.compress(text.encode("utf-8"), preset=9 | lzma.PRESET_EXTREME)
    RESULTS.write_bytes(packed)
    count = sum(map(len, results))
    print(f"{count} results in {len(results)} scenarios: {len(packed)} bytes")


if __name__ == "__main__":
    main()
