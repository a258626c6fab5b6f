"""Real-time recurrent learning has the gradient of the unrolled loop, and keeps nothing of the
past.
"""

from byway.rules.time.bptt_checks import checks as of_the_gradient
from byway.verify.oracle import flat_memory

SOURCE = "Williams and Zipser 1989"


def checks(rule):
    return [
        *of_the_gradient(rule, SOURCE),
        flat_memory(rule, SOURCE),
    ]
