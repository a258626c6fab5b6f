"""What the audit's words mean, in one sentence each; whoever explains one quotes it from here."""

QUESTIONS = {
    "transport": (
        "Does an update use the weights of another projection, against the direction in which "
        "they carry activity?"
    ),
    "locking": (
        "Must an update wait for something that is computed downstream of it, from the same sample?"
    ),
    "derivative": "Does an update depend on the slope φ′(u) of a unit’s activation?",
    "signal": (
        "Which parts of the teaching signal is an update computed from: the target, the error at "
        "the output, the loss or a reward?"
    ),
    "phases": "How many times does the network run for one update?",
    "memory": (
        "What does the rule carry from one step to the next, besides the weights: nothing, about a "
        "number for each unit, one for each synapse, or one for each pair of the two (influence)?"
    ),
    "past": "Does what the rule keeps grow with the length of a sequence?",
    "future": "Does an update at one time step need the input or the target of a later one?",
}

# What follows from an answer; the first six are those that every report shows.
MEANING = {
    name: f"{QUESTIONS[name]} {consequence}".strip()
    for name, consequence in {
        "transport": (
            "A synapse has no way to know them. Backprop uses them; feedback alignment uses fixed "
            "random weights instead."
        ),
        "locking": "If not, each layer can learn as soon as it has been active.",
        "derivative": "If not, units may be black boxes or spikes.",
        "signal": "Less is easier to deliver.",
        "phases": "",
        "memory": "",
    }.items()
}
