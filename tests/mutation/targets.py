"""What a mutation run is run on: each format's seeds, mutator and reader."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from checkpoint.build import safetensors_file, torch_members, zip_file
from mutation import sentencepiece_mutator, tokenizer_seeds
from mutation.h5_mutator import mutate_h5, read_h5_seed
from mutation.json_mutator import emit, mutate_text, parse
from mutation.legacy_mutator import mutate_stream, read_stream_seed
from mutation.msgpack_mutator import mutate_flax, read_flax_seed
from mutation.safetensors_mutator import mutate_safetensors, seed_parts
from mutation.tokens import spoil
from mutation.torch_mutator import mutate_torch, read_seed

from pyxglm.checkpoint import load
from pyxglm.checkpoint.fairseq import check_dictionary, read_fairseq
from pyxglm.checkpoint.matching import match
from pyxglm.checkpoint.safetensors_file import read_safetensors
from pyxglm.config import XGLMConfig
from pyxglm.parameters import parameter_shapes
from pyxglm.tokenization import XGLMTokenizer, XGLMTokenizerFast

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "checkpoints"
FRAMEWORKS = GOLDEN.parent / "frameworks"
FAIRSEQ = GOLDEN.parent / "fairseq"


class Target(ABC):
    """A reader under attack."""

    @abstractmethod
    def case(self, rng: Random) -> dict[str, bytes]:
        """Return the files of one case."""

    @abstractmethod
    def run(self, directory: Path) -> None:
        """Read them, and use what was read."""

    def well_said(self, message: str, directory: Path) -> bool:
        """Tell whether a refusal says which file it is about."""
        return str(directory) in message


class Weights(Target):
    """A checkpoint directory: loaded, and every byte of every tensor read."""

    config = XGLMConfig.from_json_file(GOLDEN / "bin-float16" / "config.json")

    def tensors(self, seed: int, dtype: str = "<f2") -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        shapes = parameter_shapes(self.config)
        return {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}

    def run(self, directory: Path) -> None:
        found = load(directory, self.config)
        for name, array in found.weights.items():
            assert array.shape == parameter_shapes(self.config)[name]
            assert len(array.tobytes()) == array.nbytes


class Safetensors(Weights):
    def __init__(self) -> None:
        small = {"a": np.zeros((2, 3), "<f2"), "b": np.zeros(4, "<f4"), "c": np.zeros((), "<f8")}
        self.seeds = [seed_parts(self.tensors(0)), seed_parts(self.tensors(1, "<f4"))]
        self.seeds += [seed_parts(small)] * 2

    def case(self, rng: Random) -> dict[str, bytes]:
        return {"model.safetensors": mutate_safetensors(rng, rng.choice(self.seeds))}

    def run(self, directory: Path) -> None:
        import safetensors

        # What we read, the library must read alike: no file may mean two things.
        path = directory / "model.safetensors"
        found = read_safetensors(path)
        theirs = dict(safetensors.deserialize(path.read_bytes()))
        assert found.keys() == theirs.keys()
        for name, array in found.items():
            assert [*array.shape] == theirs[name]["shape"]
            assert array.tobytes() == bytes(theirs[name]["data"])
        super().run(directory)


class Torch(Weights):
    def __init__(self) -> None:
        cases = ("bin-float16", "parameters", "bin-float32")
        self.seeds = [read_seed(GOLDEN / case / "pytorch_model.bin") for case in cases]

    def case(self, rng: Random) -> dict[str, bytes]:
        return {"pytorch_model.bin": mutate_torch(rng, rng.choice(self.seeds))}


class Legacy(Weights):
    """torch's files from before the zip format."""

    def __init__(self) -> None:
        sizes = {"FloatStorage": 4, "BFloat16Storage": 2}
        cases = ("legacy-float32", "legacy-bfloat16")
        self.seeds = [read_stream_seed(GOLDEN / c / "pytorch_model.bin", sizes) for c in cases]

    def case(self, rng: Random) -> dict[str, bytes]:
        return {"pytorch_model.bin": mutate_stream(rng, rng.choice(self.seeds))}


class Fairseq(Target):
    """fairseq's model.pt, in both formats of torch, and now and then its dict.txt."""

    def __init__(self) -> None:
        cases = ("dicts", "namespace-mevo", "omegaconf-2.0", "omegaconf-2.4")
        self.seeds = [read_seed(FAIRSEQ / case / "model.pt") for case in cases]
        self.stream = read_stream_seed(
            FAIRSEQ / "args-legacy" / "model.pt", {"FloatStorage": 4, "LongStorage": 8}
        )
        self.dictionary = (FAIRSEQ / "dicts" / "dict.txt").read_bytes()

    def case(self, rng: Random) -> dict[str, bytes]:
        words = self.dictionary
        if rng.random() < 0.1:
            words = spoil(rng, words)
        if rng.random() < 0.2:
            model = mutate_stream(rng, self.stream)
        else:
            model = mutate_torch(rng, rng.choice(self.seeds))
        return {"model.pt": model, "dict.txt": words}

    def run(self, directory: Path) -> None:
        config, tensors = read_fairseq(directory / "model.pt")
        check_dictionary(directory / "dict.txt", config, None)
        weights, _ = match(tensors, config, directory / "model.pt", with_head=True)
        for array in weights.values():
            assert len(array.tobytes()) == array.nbytes


class H5(Weights):
    """tf_model.h5: one file of keras's layout, or a shard's."""

    config = XGLMConfig.from_json_file(FRAMEWORKS / "tf-bare" / "config.json")

    def __init__(self) -> None:
        shards = sorted((FRAMEWORKS / "tf" / "shards").glob("*.h5"))
        one = read_h5_seed(FRAMEWORKS / "tf-bare" / "one" / "tf_model.h5")
        self.seeds = [one, *map(read_h5_seed, shards[::3])]

    def case(self, rng: Random) -> dict[str, bytes]:
        return {"tf_model.h5": mutate_h5(rng, rng.choice(self.seeds))}


class Msgpack(Weights):
    """flax_model.msgpack: arrays, some cut into pieces."""

    config = XGLMConfig.from_json_file(FRAMEWORKS / "flax" / "config.json")

    def __init__(self) -> None:
        cases = ("flax/one", "flax/pieces", "flax-bfloat16/one")
        self.seeds = [read_flax_seed(FRAMEWORKS / c / "flax_model.msgpack") for c in cases]

    def case(self, rng: Random) -> dict[str, bytes]:
        return {"flax_model.msgpack": mutate_flax(rng, rng.choice(self.seeds))}


class Index(Weights):
    """Sharded checkpoints: the index, and now and then a shard."""

    def __init__(self) -> None:
        tensors = self.tensors(2)
        names = [*tensors]
        self.seeds = []
        for stem, suffix, index in (
            ("model", ".safetensors", "model.safetensors.index.json"),
            ("pytorch_model", ".bin", "pytorch_model.bin.index.json"),
        ):
            files, weight_map = {}, {}
            for number, part in enumerate((names[:7], names[7:])):
                filename = f"{stem}-0000{number + 1}-of-00002{suffix}"
                inside = {name: tensors[name] for name in part}
                header, data = seed_parts(inside)
                files[filename] = (
                    safetensors_file(emit(header).encode(), data)
                    if suffix == ".safetensors"
                    else zip_file(torch_members(inside))
                )
                weight_map |= dict.fromkeys(part, filename)
            tree = {"metadata": {"total_size": 1}, "weight_map": weight_map}
            self.seeds.append((index, parse(json.dumps(tree)), files))

    def case(self, rng: Random) -> dict[str, bytes]:
        index, tree, shards = rng.choice(self.seeds)
        files = dict(shards)
        match rng.randrange(10):
            case 0:
                del files[rng.choice([*files])]
            case 1:
                name = rng.choice([*files])
                files[name] = spoil(rng, files[name])
            case 2:
                first, second = files
                files[first], files[second] = files[second], files[first]
        return {index: mutate_text(rng, tree), **files}


class Config(Target):
    """config.json, and what the program does with its numbers."""

    def __init__(self) -> None:
        plain = json.loads((GOLDEN / "bin-float16" / "config.json").read_text())
        early = {k: v for k, v in plain.items() if k not in ("num_layers", "ffn_dim")}
        early |= {"decoder_layers": 1, "decoder_ffn_dim": 12, "model_type": "xglm", "unknown": [1]}
        self.seeds = [parse(json.dumps(tree)) for tree in (plain, plain, early)]

    def case(self, rng: Random) -> dict[str, bytes]:
        return {"config.json": mutate_text(rng, rng.choice(self.seeds))}

    def run(self, directory: Path) -> None:
        config = XGLMConfig.from_pretrained(directory)
        config.to_dict()
        if config.num_layers < 100:
            parameter_shapes(config)

    def well_said(self, message: str, directory: Path) -> bool:
        return "config" in message


class SentencePiece(Target):
    """A sentencepiece model: loaded by the tokenizer, and used on awkward texts."""

    texts = (
        "the cat", "", "A  b\tc\n", "ｆｕｌｌ ﬁne ① x\u0301\u0302", "東京は", "\x7f\u200b▁▁",
        "</s><sep>", "zz" * 50,
    )  # fmt: skip

    def __init__(self) -> None:
        *self.seeds, self.large = sentencepiece_mutator.seed_models()

    def case(self, rng: Random) -> dict[str, bytes]:
        # The full table of normalisation takes a hundred times as long to check.
        seed = self.large if rng.random() < 0.01 else rng.choice(self.seeds)
        return {"sentencepiece.bpe.model": sentencepiece_mutator.mutate_model(rng, seed)}

    def run(self, directory: Path) -> None:
        tokenizer = XGLMTokenizer(str(directory / "sentencepiece.bpe.model"))
        for text in self.texts:
            ids = tokenizer(text)["input_ids"]
            assert all(0 <= token < len(tokenizer) for token in ids)
            tokenizer.decode(ids)
            tokens, offsets = tokenizer.tokenize_with_offsets(text)
            assert tokens == tokenizer.tokenize(text)
            assert all(0 <= start <= end <= len(text) for start, end in offsets)
        tokenizer.get_vocab()


class TokenizerJson(Target):
    """A tokenizer.json: opened by the fast tokenizer, and used on awkward texts."""

    def __init__(self) -> None:
        self.seeds = [parse(json.dumps(document)) for document in tokenizer_seeds.seeds()]

    def case(self, rng: Random) -> dict[str, bytes]:
        return {"tokenizer.json": mutate_text(rng, rng.choice(self.seeds))}

    def run(self, directory: Path) -> None:
        tokenizer = XGLMTokenizerFast.from_pretrained(directory)
        for text in SentencePiece.texts:
            encoding = tokenizer(text, return_offsets_mapping=True)
            for start, end in encoding["offset_mapping"]:
                assert 0 <= start <= end <= len(text)
            tokenizer.decode(encoding["input_ids"])
        tokenizer(["a", "a b"], ["b", "!"], max_length=7, truncation="only_first")
        vocabulary = tokenizer.get_vocab()
        assert all(0 <= index < 2**31 for index in vocabulary.values())
        tokenizer.build_inputs_with_special_tokens([2], [2])


TARGETS: dict[str, Callable[[], Any]] = {
    "safetensors": Safetensors,
    "torch": Torch,
    "legacy": Legacy,
    "fairseq": Fairseq,
    "h5": H5,
    "msgpack": Msgpack,
    "index": Index,
    "config": Config,
    "sentencepiece": SentencePiece,
    "tokenizer.json": TokenizerJson,
}
