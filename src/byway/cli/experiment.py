"""From settings to a finished run folder: what `train` and `compare` share."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from byway.audit.networks import tiny
from byway.audit.verdict import audit
from byway.cli.settings import NetSettings, to_toml
from byway.core.errors import BlackBoxError, ConfigError, unknown_name
from byway.core.rule import Rule
from byway.core.task import Task
from byway.network.builders import convnet, mlp, rnn
from byway.network.network import Network
from byway.rules import RULES
from byway.tasks import TASKS
from byway.training.fit import fit, prepare, use_compilation_cache
from byway.training.run import Run

NETWORKS: dict[str, Callable[..., Network]] = {
    "mlp": lambda task, net, hidden, options: mlp(task.input_shape, *hidden, task.outputs, **options),
    "rnn": lambda task, net, hidden, options: rnn(task.input_shape, *hidden, task.outputs, **options),
    "convnet": lambda task, net, hidden, options: convnet(
        task.input_shape, net.channels, task.outputs, hidden=hidden, kernel=net.kernel, pool=net.pool, **options
    ),
}

# What `fit` takes from the settings as it stands there.
OPTIONS = ("epochs", "batch", "seeds", "first_seed", "optimiser", "lr", "lr_gamma", "schedule", "probe", "looks", "look_at", "every")


def experiment(verb: str, names: list[str], settings: Any) -> Path:
    """Train every rule on the same task with the same seeds, order of data and budget.

    Everything that can be wrong with the settings is found before the first rule trains.

    Args:
        verb: "train" or "compare"; names the run folder.
        names: the rules.
        settings: what `settings_class` made.

    Returns:
        The run folder.
    """
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"the rules {', '.join(names) or '(none)'}", "one or more, each once", "for example bp,frozen,fa")
    rules: list[Rule] = [_member(RULES, name, settings) for name in names]
    task: Task = _member(TASKS, settings.task, settings)
    nets = [build(settings.net, task, rule) for rule in rules]
    data = task.load()
    options = {name: getattr(settings, name) for name in OPTIONS}
    for name in ("epochs", "batch"):
        options[name] = getattr(task.suggests, name) if options[name] is None else options[name]
    for rule, net in zip(rules, nets, strict=True):
        prepare(net, rule, task, data, **_for(rule, rules, options))
    use_compilation_cache()
    out = settings.out or Path("runs") / f"{verb}-{task.id}-{time.strftime('%Y%m%d-%H%M%S')}"
    run = Run(out, settings.overwrite)
    run.write_config(to_toml(settings, used={*names, task.id}))
    kind = net_kind(settings.net, task)
    run.write_json("audit.json", {rule.id: {"network": kind, **audit(rule, tiny(kind, rule)).to_json()} for rule in rules})
    seeds = [settings.first_seed + i for i in range(settings.seeds)]
    for rule, net in zip(rules, nets, strict=True):
        on_row, on_look = partial(run.add_row, rule.id, seeds), partial(run.add_look, rule.id, seeds)
        try:
            result = fit(net, rule, task, data=data, on_row=on_row, on_look=on_look, **_for(rule, rules, options))
        except BlackBoxError as error:
            kept = f"all that was measured is in {out}, and 'byway report {out}' draws every rule that finished"
            raise BlackBoxError(error.given, error.wanted, f"{error.fix}; {kept}") from error
        run.add_result(result, net)
        for seed, why in (result.advice | result.failures).items():
            print(f"{rule.id}, seed {seed}: {why}", flush=True)
        print(result, flush=True)
    return out


def _for(rule: Rule, rules: list[Rule], options: dict[str, Any]) -> dict[str, Any]:
    """Options of `fit` for one rule: beside rules that see steps, one that sees sequences updates once in each, whatever `every` is."""
    beside_steps = rule.sees == "sequence" and any(other.sees == "step" for other in rules)
    return options | ({"every": None} if beside_steps else {})


def build(net: NetSettings, task: Task, rule: Rule) -> Network:
    """The network of the settings, with the options that the rule cannot do without."""
    if net.kind is not None and net.kind not in NETWORKS:
        raise unknown_name("network kind", net.kind, NETWORKS)
    kind = net_kind(net, task)
    suggested = () if kind == "convnet" else task.suggests.hidden
    hidden = suggested if net.hidden is None else net.hidden
    options = {"norm": net.norm, "bias": net.bias} | ({} if net.activation is None else {"activation": net.activation})
    return NETWORKS[kind](task, net, hidden, {**options, **rule.network_options})


def net_kind(net: NetSettings, task: Task) -> str:
    """The kind of network asked for; by default what fits the task."""
    return net.kind or ("rnn" if task.in_time else "mlp")


def _member(registry, name: str, settings: Any) -> Any:
    member = registry.get(name)
    table = getattr(settings, name, None)
    return member(**(vars(table) if table is not None else {}))
