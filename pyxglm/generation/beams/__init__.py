"""Beam search: following several continuations of a prompt at once.

`search`
    The steps: scores, choices, the next beams.
`group`
    The beams that compete with each other: candidates in, next beams out.
`candidates`
    The best continuations of all, or a draw among them.
`hypotheses`
    The texts that are complete, their scores, and when to stop.
`history`
    Where the beams have come from.
`groups`
    Keeping groups of beams apart.
`constraints`, `progress`, `forcing`
    What a text must contain, how far it has come, and how it is led there.
`ending`
    From the texts to rows.

Dimensions: W beams of each of P prompts, R = P W rows; G beams of a group; C
candidates.
"""
