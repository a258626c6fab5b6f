"""Real-time recurrent learning has the gradient of the unrolled loop, and keeps nothing of the
past.
"""

import jax

from byway.core.check import Check
from byway.rules.time.bptt_checks import checks as of_the_gradient
from byway.verify.oracle import in_time, taught

SOURCE = "Williams and Zipser 1989"


def checks(rule):
    return [
        *of_the_gradient(rule, SOURCE),
        Check("memory of a step more [bytes]", lambda: _growth(rule), 1.0, SOURCE),
    ]


def _growth(rule) -> float:
    """What the compiled program needs beside its arguments, for sequences of 64 steps and of
    256.
    """
    needed = []
    for steps in (64, 256):
        _, x, signal, _ = problem = in_time(3, 5, 2, steps=steps)
        compiled = (
            jax.jit(lambda net, x, signal: taught(rule, net, x, signal))
            .lower(problem.net, x, signal)
            .compile()
        )
        memory = compiled.memory_analysis()
        needed.append(float("nan") if memory is None else memory.temp_size_in_bytes)
    return (needed[1] - needed[0]) / 192
