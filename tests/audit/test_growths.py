"""What growth policies go by, against their claims and against policies made up for it."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import pytest

import byway
from byway.audit.growth import growth_reads
from byway.growths import GROWTHS
from byway.learning.growth import Growth

NET = {
    "set": lambda: byway.mlp(8, 7, 6, 4, fan_in=3),
    "deep_r": lambda: byway.mlp(8, 7, 6, 4, fan_in=3),
    "neurogenesis": lambda: byway.grownet(8, 6, 4, regions=2, fan_in=3, born=0.5),
    "gradmax": lambda: byway.grownet(8, 6, 4, regions=2, fan_in=3, born=0.5),
    "splitting": lambda: byway.grownet(8, 6, 4, regions=1, fan_in=3, born=0.5),
    "synaptogenesis": lambda: byway.grownet(8, 6, 4, regions=2, fan_in=3, spare=2),
    "unit_pruning": lambda: byway.grownet(8, 6, 4, regions=2, fan_in=3),
    "rigl": lambda: byway.grownet(8, 6, 4, regions=2, fan_in=3, spare=2),
    "structural_plasticity": lambda: byway.grownet(8, 6, 4, regions=2, fan_in=3, spare=2),
}


@pytest.mark.parametrize("name", GROWTHS.ids())
def test_a_policy_goes_by_what_it_says(name):
    policy = byway.growth(name)
    assert growth_reads(policy, NET.get(name, lambda: byway.mlp(8, 7, 6, 4))()) == policy.claims


class Pruning(Growth):
    """Halves the weights into a layer of which too little was seen of something, twice
    remembered.
    """

    every: int = 1
    until: float = 1.0
    seen: ClassVar

    def accepts(self, net):
        pass

    def start(self, net):
        return {"now": jnp.zeros((), net.dtype), "before": jnp.zeros((), net.dtype)}

    def watch(self, memory, net, record, update):
        return {"now": jnp.mean(type(self).seen(net, record, update)), "before": memory["now"]}

    def grow(self, memory, net, key, done):
        theta = {
            p.name: {"weight": jnp.where(memory["before"] > 0.1, p.weight, p.weight / 2)}
            for p in net.projections
        }
        return (
            memory,
            net.with_theta(theta),
            jax.tree.map(lambda a: jnp.zeros(a.shape, bool), theta),
        )


@pytest.mark.parametrize(
    ("seen", "reads"),
    [
        (lambda net, record, update: jnp.ones(()), {"weights"}),
        (lambda net, record, update: record["free"].post["hidden1"], {"weights", "activity"}),
        (lambda net, record, update: update.net["hidden1-output"]["weight"], {"weights", "update"}),
    ],
)
def test_what_is_remembered_is_read(seen, reads):
    assert (
        growth_reads(type("Pruned", (Pruning,), {"seen": staticmethod(seen)})(), byway.mlp(8, 7, 4))
        == reads
    )
