"""What a type checker has to find in a user's program: every line marked so, and no other."""

from typing import Any, ClassVar

from jaxtyping import Array
from typing_extensions import override

import byway

task = byway.task("digits")
net = byway.mlp(task.input_shape, 8, task.outputs)
rule = byway.rule("dfa")

result = byway.fit(net, rule, task, seeds=8)
byway.fit(net, rule, task, sedes=8)  # found
byway.fit(net, rule, task, seeds="8")  # found
byway.fit(net, task, rule)  # found
byway.compare(["bp"], net, task, sedes=8)  # found
byway.tune(["bp"], net, task, trails=8)  # found
byway.compare(["bp"], net, task, folds="5")  # found
byway.compare(["bp"], net, task, folds=5)["bp"]  # found
byway.fit(rule, net)  # found
print(result.acuracy)  # found
print(result.learner(0).nets)  # found
print(net.populatoins)  # found
print(byway.rul("dfa"))  # found
byway.mlp(8, 4, actvation="tanh")  # found
byway.cell(3)  # found
byway.load(result)  # found
byway.Record({}, outputs=3)  # found
byway.use_all_cores(2)  # found


class Wrong(byway.Rule):
    """Its f takes too little, its g returns too little, and it claims what nobody can."""

    claims: ClassVar[byway.Claims] = byway.Claims(
        transport="no",
        locking="perhaps",  # found
        derivative="yes",
        signal=frozenset({"error"}),
        phases=1,
        memory="none",
    )

    @override
    def accepts(self, net: str) -> None: ...  # found

    @override
    def f(self, gamma: Any, net: byway.Network, x: Array) -> tuple[Any, byway.Record]:  # found
        raise NotImplementedError

    @override
    def g(  # found
        self,
        gamma: Any,
        net: byway.Network,
        memory: Any,
        record: byway.Record,
        signal: byway.Signal,
    ) -> byway.Update:
        return byway.Update(record.phases)  # found


class Missing(byway.Rule):
    """It has no g."""

    @override
    def accepts(self, net: byway.Network) -> None: ...

    @override
    def begins(self) -> None: ...  # found


Missing()  # found
