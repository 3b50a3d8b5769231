"""XGLMTokenizerFast: XGLM's tokenizer on the `tokenizers` library (the extra ``pyxglm[fast]``).

- `backend`: the library, whose every error becomes a ValueError;
- `document`: what is checked of a ``tokenizer.json`` before the library sees it;
- `opening`: a file, a model or an object to the library's tokenizer;
- `conversion`: a sentencepiece model as the library's object;
- `table`: tokens, ids and added tokens;
- `calls`: texts to model inputs with offsets, ids to text;
- `training`: a new vocabulary for the same kind of tokenizer;
- `tokenizer`: the class, its arguments, its files.

Nothing here loads the library until a tokenizer is made.
"""

from pyxglm.tokenization.fast.tokenizer import XGLMTokenizerFast

__all__ = ["XGLMTokenizerFast"]
