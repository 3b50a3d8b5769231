"""Logits processors: functions from scores to scores, one per idea.

`values`
    Softmax and its logarithm, and what is no number.
`narrowing`
    Temperature, top-k, top-p, min-p, typical, epsilon, eta: for draws.
`repeats`
    Against repetition: a penalty, and n-grams that may not come again.
`words`
    Biases of sequences, bad words, suppressed and allowed tokens.
`lengths`
    The least length, forced beginnings and ends.
`guidance`
    Away from what the model would say to another prompt.
`order`
    Those that settings ask for, one after the other.
"""
