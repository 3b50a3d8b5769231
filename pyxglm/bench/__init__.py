"""How fast a whole model is on this machine: what ``pyxglm bench`` measures.

A *job* (`grid`) is one thing to time: a prompt, a generation, both, or scoring.
`jobs` does it once and says how long it took; `work` says how long this machine,
whose limits `machine` measures, would need at the least; `results` has the
statistics and `formats` shows them as llama-bench does. `shapes` writes models of
the published sizes with random weights: speed does not depend on what they say.
"""
