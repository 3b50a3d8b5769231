"""Kernels in NumPy: right ones, and ones with a single mistake each."""

from __future__ import annotations

import numpy as np

from pyxglm.check.cases import ACTIVATIONS
from pyxglm.check.problems import CANARY
from pyxglm.dtypes import convert
from pyxglm.ops import coarse, reference


class StandIn:
    """A kernel that computes by the reference in float32, a row or a query at a time.

    So what it computes for one does not depend on the others.
    """

    def tasks(self, given, inputs):
        return given.tasks if given.tasks is not None else given.numbers["B"]

    def __call__(self, given, inputs, outputs, begin, end):
        results = self.results(given, inputs)
        for name, output in given.outputs.items():
            for b, (places, result) in enumerate(zip(output.places, results[name], strict=True)):
                if output.tasks is None:
                    chosen = np.full(places.size, begin <= b < end)
                else:
                    chosen = (output.tasks >= begin) & (output.tasks < end)
                outputs[name][places.reshape(-1)[chosen]] = result.reshape(-1)[chosen]

    def results(self, given, inputs):
        case = given.case
        with np.errstate(all="ignore"):
            if case.op == "attention":
                return self.attention(case)
            if case.op == "cache_append":
                return {f"{name}_room": [case.arguments[f"{name}_BHTK"]] for name in "kv"}
            return {name: [self.rows(case)] for name in given.outputs}

    def rows(self, case):
        given = case.arguments
        if case.op == "embed":
            return reference.embed(**given, dtype=np.float32)
        if case.op == "layer_norm":
            return reference.layer_norm(**given)
        if case.op == "softmax":
            return reference.softmax(given["x"])
        if case.op == "log_softmax":
            return reference.log_softmax(given["x"])
        if case.op in ACTIVATIONS:
            return ACTIVATIONS[case.op](given["x"].astype(np.float64)).astype(np.float32)
        x_BTI, residual_BTO = given["x_BTI"], given["residual_BTO"]
        y_BTO = np.empty((*x_BTI.shape[:-1], len(given["weight_OI"])), np.float32)
        for at in np.ndindex(*x_BTI.shape[:-1]):
            y_BTO[at] = (coarse if case.op == "linear_coarse" else reference).linear(
                x_BTI[at], given["weight_OI"], given["bias_O"], activation=given["activation"]
            )
        return y_BTO if residual_BTO is None else y_BTO + residual_BTO

    def attention(self, case):
        found = {"out": [], "weights": []}
        for one in case.arguments["sequences"]:
            out, weights = self.sequence(one, case.arguments)
            found["out"].append(out)
            found["weights"].append(weights)
        return found

    def sequence(self, one, shared):
        """Attend query by query, to nothing but what each may see."""
        q, k, v = (one[name][0] for name in ("q_BHTK", "k_BHSK", "v_BHSK"))
        (H, T, _), S = q.shape, k.shape[1]
        seen = reference.visible_keys(
            T, S, causal=shared["causal"], keys_BS=one["keys_BS"], visible_BTS=one["visible_BTS"]
        )
        lowest = -np.inf if seen is None else np.finfo(np.float32).min
        seen = self.mask(np.ones((T, S), bool) if seen is None else np.tile(seen[0], (1, 1)), T, S)
        out, weights = np.zeros_like(q), np.zeros((H, T, S), np.float32)
        for h, t in np.ndindex(H, T):
            counts = seen[t]
            scores = np.maximum(k[h, counts] @ q[h, t], lowest)
            if (scores == lowest).all() and np.isfinite(lowest):  # as good as none
                counts, scores = np.ones(S, bool), np.zeros(S, np.float32)
            p = reference.softmax(scores)
            if shared["head_mask_H"] is not None:
                p = p * shared["head_mask_H"][h]
            weights[h, t] = 0 * p.sum()  # NaN, if one is
            weights[h, t, counts] = p
            out[h, t] = (p[:, None] * v[h, counts]).sum(axis=0)
        return out, weights

    def mask(self, seen, T, S):
        return np.broadcast_to(seen, (T, S))


class Broken(StandIn):
    """A stand-in with one mistake, by name."""

    def __init__(self, mistake):
        self.mistake = mistake

    def __call__(self, given, inputs, outputs, begin, end):
        first = next(iter(outputs.values()))
        if self.mistake == "ignores the range":
            begin, end = 0, self.tasks(given, inputs)
        if self.mistake == "writes twice" and begin:
            super().__call__(given, inputs, outputs, begin - 1, end)
        super().__call__(given, inputs, outputs, begin, end)
        places = given.outputs[next(iter(outputs))].places
        touched = np.concatenate([place.reshape(-1) for place in places])
        if self.mistake == "wrong in one element" and touched.size and end > begin:
            place = touched[touched.size // 2]
            first[place] *= 1.001
        elif self.mistake == "writes one element too far" and first.size:
            outside = np.lib.stride_tricks.as_strided(first, (first.size + 1,))
            outside[first.size] = 1.0
        elif self.mistake == "writes between rows" and touched.size:
            gap = np.setdiff1d(np.arange(first.size), touched)
            first[gap[:1]] = 0.0
        elif self.mistake == "all zeros":
            first[touched] = 0.0
        elif self.mistake == "changes its input":
            changed = next(iter(inputs.values()))
            if changed.size:
                changed.view(np.uint8)[0] ^= 1
        elif self.mistake == "loses NaN":
            own = first.view(np.uint32) != CANARY.view(np.uint32)
            first[own] = np.nan_to_num(first[own], nan=0.0, posinf=1.0, neginf=-1.0)

    def rows(self, case):
        result = super().rows(case)
        if self.mistake == "off by one row" and result.ndim > 1:
            flat = result.reshape(-1, result.shape[-1])
            return np.roll(flat, 1, axis=0).reshape(result.shape)
        if self.mistake == "half precision":
            return result.astype(np.float16).astype(np.float32)
        if self.mistake == "bfloat16 activations":
            x_BTI = convert(case.arguments["x_BTI"], "bfloat16")
            given = {**case.arguments, "x_BTI": reference.widen(x_BTI, np.float32)}
            return reference.linear(**given)
        if self.mistake == "rounds nothing":
            return reference.linear(**case.arguments)
        if self.mistake == "cuts and does not round":
            x_BTI = case.arguments["x_BTI"].view(np.uint32) & np.uint32(0xFFFF0000)
            return coarse.linear(**{**case.arguments, "x_BTI": x_BTI.view(np.float32)})
        if self.mistake == "drops the last product" and case.arguments["x_BTI"].shape[-1]:
            given = {**case.arguments, "x_BTI": case.arguments["x_BTI"].copy()}
            given["x_BTI"][..., -1] = 0
            return reference.linear(**given)
        if self.mistake == "depends on M":
            rows = int(np.prod(result.shape[:-1]))
            return np.nextafter(result, np.float32(np.inf)) if rows > 8 else result
        return result

    def mask(self, seen, T, S):
        seen = super().mask(seen, T, S)
        if self.mistake == "ignores the mask":
            return np.ones_like(seen)
        if self.mistake == "sees one key too many":
            return seen | np.roll(seen, 1, axis=1)
        if self.mistake == "hides the last key" and S > 1:
            hidden = seen.copy()
            hidden[:, -1] = False
            return hidden
        return seen

    def sequence(self, one, shared):
        out, weights = super().sequence(one, shared)
        if self.mistake == "off by one row":
            out = np.roll(out, 1, axis=1)
        if self.mistake == "depends on the padding":  # in the last bit only
            grow = np.float32(1 + 2.0**-23) if out.size and one["k_BHSK"].shape[2] % 2 else 1
            out = out * np.float32(grow)
        return out, weights
