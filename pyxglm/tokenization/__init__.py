"""Text to ids and back, as transformers 4.37.2 does it for XGLM.

Read it from the middle outwards:

- `vocabulary`: XGLM's numbering of sentencepiece's pieces;
- `special_tokens`, `token_table`: tokens with a meaning, tokens added later;
- `splitting`, `text`: how a text is cut, and how it is put together again;
- `lengths`, `calls`: truncation, padding, batches, ``tokenizer(...)``;
- `xglm`: what is XGLM's own, ``</s> X``;
- `saving`: the files of a saved tokenizer;
- `protobuf`, `charsmap`, `model_proto`: why a forged model file does no harm.
"""
