"""The text that the bundled model learns from: facts, the languages' words for them, sentences."""
