"""The operations that the decoder is written over, one module a backend."""
