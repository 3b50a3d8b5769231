"""Record what the slow XGLMTokenizer of transformers 4.37.2 returns.

Run it in an environment that has transformers 4.37.2 and sentencepiece::

    python tests/golden/record_tokenizer.py            # results, with the stored models
    python tests/golden/record_tokenizer.py --train    # train the models anew first

It writes, into ``tests/golden/tokenizer/``:

``models.tar.xz``
    Four unigram models trained on ``corpus.txt``: XGLM's normaliser with
    little and with much vocabulary, one with byte fallback, one that
    normalises nothing and has symbols of its user.
``results.json.xz``
    ``scenarios``: the results of `tokenizer_grid.SCENARIOS`, a list a scenario;
    ``splits``: the parts of `tokenizer_grid.splitting_cases`.
"""

from __future__ import annotations

import io
import json
import logging
import lzma
import sys
import tarfile
import tempfile
import warnings
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE / "tokenizer"

TRAININGS = {
    "small": {"vocab_size": 620, "character_coverage": 0.985},
    "large": {"vocab_size": 880, "character_coverage": 1.0},
    "bytes": {"vocab_size": 820, "character_coverage": 0.98, "byte_fallback": True},
    "identity": {
        "vocab_size": 640,
        "character_coverage": 0.99,
        "normalization_rule_name": "identity",
        "user_defined_symbols": ["<sep>", "東京"],
    },
}


def train() -> None:
    """Train the four models and pack them together (they share most of their bytes)."""
    import sentencepiece

    lines = (FOLDER / "corpus.txt").read_text(encoding="utf-8").splitlines()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, options in TRAININGS.items():
            model = io.BytesIO()
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(lines * 2),
                model_writer=model,
                model_type="unigram",
                unk_id=0,
                bos_id=1,
                eos_id=2,
                pad_id=-1,
                minloglevel=2,
                num_threads=1,
                **options,
            )
            member = tarfile.TarInfo(f"{name}.model")
            member.size = len(model.getvalue())
            archive.addfile(member, io.BytesIO(model.getvalue()))
    preset = 9 | lzma.PRESET_EXTREME
    (FOLDER / "models.tar.xz").write_bytes(lzma.compress(packed.getvalue(), preset=preset))


def unpack_models(target: Path) -> None:
    """Write the stored models into a directory."""
    data = lzma.decompress((FOLDER / "models.tar.xz").read_bytes())
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None
            (target / Path(member.name).name).write_bytes(file.read())


def main() -> None:
    """Record."""
    import transformers
    from transformers import AddedToken, XGLMTokenizer
    from transformers.tokenization_utils import Trie

    assert transformers.__version__ == "4.37.2", transformers.__version__
    logging.disable(logging.ERROR)
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(HERE.parent))
    from golden.tokenizer_grid import SCENARIOS, run_scenario, splitting_cases

    if "--train" in sys.argv:
        train()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        unpack_models(folder)
        results = [
            run_scenario(scenario, XGLMTokenizer, AddedToken, folder, folder / f"scenario{number}")
            for number, scenario in enumerate(SCENARIOS)
        ]
    splits = []
    for strings, text in splitting_cases():
        trie = Trie()
        for string in strings:
            trie.add(string)
        splits.append(trie.split(text))
    document = {"scenarios": results, "splits": splits}
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"
    packed = lzma.compress(text.encode("utf-8"), preset=9 | lzma.PRESET_EXTREME)
    (FOLDER / "results.json.xz").write_bytes(packed)
    count = sum(map(len, results))
    print(f"{len(splits)} splits, {count} results in {len(results)} scenarios: {len(packed)} bytes")


if __name__ == "__main__":
    main()
