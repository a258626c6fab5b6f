"""Learning rates that go with the width of a network: those of the maximal update parametrisation.

Yang, Hu, Babuschkin, Sidor, Liu, Farhi, Ryder, Pachocki, Chen and Gao, Tensor programs V, 2022,
arXiv 2203.03466, Table 3. The rates alone: weights begin as they always do, where the paper draws
those into the output smaller, with variance 1 / fan_in^2.
"""

from byway.core.errors import ConfigError
from byway.core.given import require_none, require_whole
from byway.network.network import Network
from byway.network.populations import Population

# Optimisers whose changes grow with the gradient; those of all others, as of Adam, do not.
LIKE_SGD = ("sgd", "momentum")
# By projection and part of its theta.
Scales = dict[str, dict[str, float]]


def width_scales(net: Network, base: int, optimiser: str) -> Scales:
    """What muP multiplies each learning rate by that was found for hidden layers of `base` units.

    With r the width of a hidden population over `base`, and 1 for input and output: of Adam and its
    like 1 / r(src) for weights and 1 for biases, of SGD r(dst) / r(src) and r(dst).

    Args:
        net: the network. The width of a population is its units, or its channels.
        base: that of all hidden populations where the rate was found.
        optimiser: its name.

    Raises:
        ConfigError: no width, or a network to which the rule says nothing: without hidden
            populations, or with units that read a fixed number of others.
    """
    name, fix = "base_width", "give the rates by projection with scales"
    require_whole(name, base, fix="leave it out for the same rate everywhere")
    ends = (net.input, net.output)
    hidden = {one.name: _width(one) for one in net.populations if one.name not in ends}
    if not hidden:
        require_none(name, base, "for a network without hidden layers", "choose another network")
    scales: Scales = {}
    for one in net.projections:
        if one.theta and one.src in hidden and one.fan_in % hidden[one.src]:
            given = f"{name} = {base} with {one.name}, where units read {one.fan_in} others each"
            raise ConfigError(given, "projections whose fan-in grows with the width", fix)
        before, behind = (hidden.get(end, base) / base for end in (one.src, one.dst))
        grown = behind if optimiser in LIKE_SGD else 1.0
        parts = {"weight": grown / before, "bias": grown}
        scales[one.name] = {part: parts[part] for part in one.theta}
    return scales


def _width(population: Population) -> int:
    """Its channels, or all its units where it has none."""
    return population.shape[-1] if len(population.shape) == 3 else population.size
