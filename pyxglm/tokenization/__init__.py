"""Text to ids and back, as transformers 4.37.2 does it for XGLM.

Read it from the middle outwards:

- `vocabulary`: XGLM's numbering of sentencepiece's pieces;
- `special_tokens`, `token_table`: tokens with a meaning, tokens added later;
- `splitting`, `text`: how a text is cut, and how it is put together again;
- `strategies`, `lengths`: truncation and padding;
- `prepare`, `calls`, `encoding`: ``tokenizer(...)`` and what it returns;
- `layout`: ``</s> X``;
- `xglm`: the class, its arguments, its files;
- `saving`: the files of a saved tokenizer;
- `protobuf`, `charsmap`, `model_proto`: why a forged model file does no harm.
"""

from pyxglm.tokenization.added_token import AddedToken
from pyxglm.tokenization.encoding import BatchEncoding
from pyxglm.tokenization.fast import XGLMTokenizerFast
from pyxglm.tokenization.xglm import XGLMTokenizer

__all__ = ["AddedToken", "BatchEncoding", "XGLMTokenizer", "XGLMTokenizerFast"]
