"""Bad arguments of the Python API, each as a call: `python tests/fuzz/arguments.py` prints what
became of every one of them, as JSON.

It is a program of its own because the tests check the type of every argument of every function,
which users do not have.
"""

import json
import tempfile
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import byway
from byway.core.errors import BywayError
from byway.core.task import Split

byway.use_all_cores()

FOLDER = tempfile.mkdtemp()
NAN, INF, HUGE = float("nan"), float("inf"), 10**12
CASES: dict[str, Callable[[], object]] = {}


def _try(name: str, call: Callable[..., object], *arguments, **options) -> None:
    given = [repr(a).partition("\n")[0][:40] for a in arguments] + [
        f"{k}={v!r}".partition("\n")[0][:40] for k, v in options.items()
    ]
    CASES[f"{name}({', '.join(given)})"] = lambda: call(*arguments, **options)


def _splits():
    return {name: Split(s.x[:40], s.y[:40]) for name, s in byway.task("digits").load().items()}


def _fit(**options):
    needed = {} if "probe" in options else {"looks": 0}
    needed |= {"checkpoint": FOLDER} if {"save_every", "keep"} & options.keys() else {}
    o = {"epochs": 1, "batch": 8, "progress": False, "data": None} | needed | options
    net = o.pop("net") if "net" in o else byway.mlp((8, 8, 1), 5, 10)
    rule, task = o.pop("rule", byway.rule("bp")), o.pop("task", byway.task("digits"))
    return byway.fit(net, rule, task, **o)


def _fit_changed(part, change):
    splits = _splits()
    x, y = change(*splits[part])
    return _fit(data=splits | {part: Split(x, y)})


SETTINGS = {
    "epochs": (-1, 0, NAN, INF, 1.5, "3", True, HUGE, [3]),
    "seeds": (-1, 0, NAN, INF, 1.5, "3", None, True, HUGE, [3]),
    "batch": (-1, 0, NAN, 1.5, "3", True, HUGE),
    "probe": (-1, 0, NAN, 1.5, "3", [3], True, HUGE),
    "first_seed": (-1, 1.5, NAN, "0", 2**32, None, True),
    "lr": (-1.0, 0.0, NAN, INF, "x", [1], True),
    "lr_gamma": (-1.0, NAN, "x"),
    "schedule": ("cos", 3, []),
    "optimiser": ("adan", 3, NAN, []),
    "looks": (-1, 1, 2.5, "3", NAN, HUGE),
    "look_at": ([-1], [10**6], [0.5], ["a"], 3, [NAN], "ab", [[1]]),
    "every": (1, 0, -1, "x", NAN),
    "start": ("w.safetensors", 3, byway.mlp((8, 8, 1), 6, 10)),
    "save_every": (-1.0, NAN, "x"),
    "keep": (-1, 1.5, "x"),
    "checkpoint": (3, NAN),
    "data": ({}, [], 3, {"train": 1, "validation": 2, "test": 3}),
    "net": (3, None, "mlp"),
    "rule": ("bp", None, 3, BywayError),
    "task": ("digits", None, 3),
    "on_epoch": (3,),
    "on_look": ("x",),
    "watch": (3,),
    "sedes": (8,),
    "growth": ("set", 3, ["set"]),
}
for _name, _values in SETTINGS.items():
    for _value in _values:
        _try("fit", _fit, **{_name: _value})


def _experiment(call):
    def made(**options):
        quick = {"epochs": 1, "batch": 8, "looks": 0, "seeds": 1, "data": _splits()}
        net = byway.mlp((8, 8, 1), 5, 10)
        return call(**{"net": net, "progress": False} | quick | options)

    return made


# What `compare`, `train` and `tune` are told besides.
STUDY = {
    "net": (3, "mlp", lambda task, rule: 3, byway.mlp((8, 8, 1), 5, 9)),
    "task": (3, None, "digit"),
    "seeds": (0, -1, NAN, "3", None),
    "lr": (NAN, -1.0, "x"),
    "sedes": (8,),
    "data": ({}, 3),
    "jobs": (0, 1.5, "2"),
    "on": ("rai", 3),
}
STUDIES = {
    **STUDY,
    "rates": ({"dfa": NAN}, {"dfa": "x"}, {"dfaa": 0.1}, 3),
    "track": (("nope",), ("tensorboard",), 3),
    "tuned": ("nowhere", 3),
    "out": (3, "/dev/null/run", FOLDER),
    "overwrite": (True, "yes"),
    "keep": (2,),
    "save_every": (1.0,),
    "on_epoch": (3,),
    "on_look": ("x",),
}
RULES = (
    ["bpp"],
    [3],
    [],
    3,
    "bp",
    None,
    ["bp", "bp"],
    {"a": "bp"},
    {"a": 3},
    {},
    {3: byway.rule("bp")},
    {"../bp": byway.rule("bp")},
    {"a/b": byway.rule("bp")},
    {"frozen@bp": byway.rule("bp")},
    {"": byway.rule("bp")},
)
for _verb, _rules, _options in (
    ("compare", "rules", STUDIES),
    ("train", "rule", STUDIES),
    ("tune", "rules", STUDY | {"trials": (0, -1, NAN, "3"), "out": ("/dev/null/run", 3)}),
):
    for _name, _values in _options.items():
        for _value in _values:
            _told = {_rules: ["dfa"] if _rules == "rules" else "dfa", _name: _value}
            _try(_verb, _experiment(getattr(byway, _verb)), **_told)
for _value in RULES:
    _try("compare", _experiment(byway.compare), rules=_value)
    _try("tune", _experiment(byway.tune), rules=_value)
for _value in ("bpp", 3, None, ["bp", "dfa"]):
    _try("train", _experiment(byway.train), rule=_value)
for _value in ("nowhere", FOLDER, 3, None, "/dev/null"):
    _try("open", byway.open, _value)
for _value in ("nope", "", 3, None):
    _try("reproduce", byway.reproduce, _value)
for _told in ({"quick": "yes"}, {"quick": None}, {"out": 3}, {"out": "x"}):
    _try("reproduce", byway.reproduce, "perturbation_variance", **_told)

CHANGES = {
    "a label too high": lambda x, y: (x, y.at[0].set(200)),
    "a label below zero": lambda x, y: (x, y.astype(int).at[0].set(-1)),
    "a label that is NaN": lambda x, y: (x, y.astype(float).at[0].set(NAN)),
    "labels as floats": lambda x, y: (x, y.astype(float)),
    "labels as rows": lambda x, y: (x, jax.nn.one_hot(y, 10)),
    "a label too few": lambda x, y: (x, y[:-1]),
    "nothing": lambda x, y: (x[:0], y[:0]),
    "pixels that are NaN": lambda x, y: (x.astype(float).at[0].set(NAN), y),
    "pixels without end": lambda x, y: (x.astype(float).at[0].set(INF), y),
    "half an image": lambda x, y: (x[:, :4], y),
    "one image": lambda x, y: (x[0], y),
    "pixels as floats": lambda x, y: (x.astype(float) / 16, y),
    "pixels as truths": lambda x, y: (x > 3, y),
    "complex pixels": lambda x, y: (x.astype(complex), y),
    "words": lambda x, y: (np.array(["a"] * 40), y),
    "no pixels": lambda x, y: (None, y),
}
for _part in ("train", "validation", "test"):
    for _name, _change in CHANGES.items():
        CASES[f"fit with {_name} in {_part}"] = lambda part=_part, change=_change: _fit_changed(
            part, change
        )

for _sizes in (
    (),
    (3,),
    (3, 0),
    (3, -1),
    (3, 2.5),
    (3, NAN),
    ("a", "b"),
    (3, None),
    (3, True, 2),
    ((), 3),
    ((3, 0), 2),
    (3, HUGE),
    (3, "4"),
):
    _try("mlp", byway.mlp, *_sizes)
    _try("rnn", byway.rnn, *_sizes)
for _options in (
    *({"activation": v} for v in ("rleu", 3, None, jnp.tanh)),
    *({"norm": v} for v in ("yes", 3)),
    *({"bias": v} for v in (None, "no")),
    *({"readout_from": v} for v in ((), (5,), -1, (0.5,))),
    *({"key": v} for v in ("a", 1.5, -1, None, 2**70, jnp.zeros(3))),
):
    _try("mlp", byway.mlp, 3, 4, 5, 2, **_options)
for _given in (
    *(
        ((8, 8), (3,), 4),
        (8, (3,), 4),
        ((8, 8, 1), (), 4),
        ((8, 8, 1), 3, 4),
        ((8, 8, 1), (0,), 4),
        ((8, 8, 1), (2.5,), 4),
        ((8, 8, 1), (3,), 0),
    ),
    *(
        ((8, 8, 1), (3,) * 6, 4),
        ((8, 8, -1), (3,), 4),
        ((8, 8, 0), (3,), 4),
        (("a", "b", "c"), (3,), 4),
        (None, (3,), 4),
    ),
):
    _try("convnet", byway.convnet, *_given)
for _options in (
    *({"kernel": v} for v in (0, -3, 2.5, (3, 3), HUGE)),
    *({"stride": v} for v in (0, "1")),
    *({"padding": v} for v in ("full", 3)),
    *({"pool": v} for v in (0, 9, NAN)),
    *({"hidden": v} for v in (3, (0,))),
):
    _try("convnet", byway.convnet, (8, 8, 1), (3,), 4, **_options)

_SIZES, _EDGES = {"input": 3, "a": 4, "output": 2}, [("input", "a"), ("a", "output")]
for _edges in (
    [("input", "b")],
    _EDGES + _EDGES,
    [("input", "a")],
    [],
    None,
    [("input", "a", "output")],
    ["ab"],
):
    _try("graph", byway.graph, _SIZES, _edges)
for _size in (0, -2, NAN, "4", HUGE):
    _try("graph", byway.graph, _SIZES | {"a": _size}, _EDGES)
for _name in ("a-b", "a.b", "a/b", "", 4):
    _try(
        "graph",
        byway.graph,
        {"input": 3, _name: 4, "output": 2},
        [("input", _name), (_name, "output")],
    )
for _options in (
    {"input": "x"},
    {"output": "x"},
    {"output": "input"},
    {"activation": {"b": "relu"}},
    {"activation": {"a": None}},
):
    _try("graph", byway.graph, _SIZES, _EDGES, **_options)
_try("graph", byway.graph, {}, [])
_try("graph", byway.graph, [3, 4], _EDGES)

HYPER = {
    "dtp": ("step", "sigma"),
    "ep": ("steps", "rate", "tolerance", "nudged_steps", "beta"),
    "distance_forward": ("alpha", "margin"),
    "ff": ("threshold", "peer", "decay"),
    "ff_recurrent": ("steps", "first", "last", "stay", "threshold", "peer", "decay"),
    "ff_unsupervised": ("threshold", "peer", "decay", "blurs"),
    "ipc": ("steps", "rate", "tolerance", "precision"),
    "kolen_pollack": ("decay",),
    "soft_hebb": ("rate", "temperature"),
    "pc": ("steps", "rate", "tolerance", "precision"),
    "node_perturbation": ("sigma", "draws"),
    "forward_gradient": ("draws",),
    "weight_perturbation": ("sigma", "draws"),
    "es": ("sigma", "pairs"),
    "activity_forward_gradient": ("group", "draws"),
    "reinforce": ("sigma", "draws"),
    "predsim": ("beta",),
    "scff": ("threshold", "peer", "decay"),
    "symba": ("alpha", "pattern"),
    "pepita": ("size", "dropout"),
    "dni": ("width",),
    "unlocked_dni": ("width",),
    "block_local": ("block", "sigma", "spread"),
    "cafo": ("ridge",),
    "gim": ("ahead", "skip"),
    "subtask": ("by", "lipschitz"),
    "esn": ("ridge", "radius", "input", "bias", "washout"),
    "three_factor": ("sigma", "tau", "window"),
    "taylor": ("bound",),
}
for _rule, _names in HYPER.items():
    for _name in _names:
        for _value in (-1, NAN, INF, "x", None, [1], True):
            _try(f"rule {_rule}", byway.rule, _rule, **{_name: _value})
for _task, _names in {
    "digits": ("validation", "loss", "jitter"),
    "adding": ("length",),
    "copy": ("delay", "symbols"),
    "delayed_xor": ("gap", "noise"),
}.items():
    for _name in _names:
        for _value in (-1, NAN, "x", None, [1], True):
            _try(f"task {_task}", byway.task, _task, **{_name: _value})
for _member in (byway.rule("fa"), "fa", None, int, byway.Network):
    _try("register", byway.register, _member)
for _name in ("", "bpp", None, 3, "../x", "BP", "_learned", "_files"):
    _try("rule", byway.rule, _name)
    _try("task", byway.task, _name)
_try("rule", byway.rule, "ff", nope=1)
_try("rule", byway.rule, "bp", lr=1)
_try("task", byway.task, "digits", nope=1)
for _given in (
    (0,),
    (-1,),
    (2.5,),
    (NAN,),
    ("3",),
    (3, 0.0),
    (3, NAN),
    (3, -1.0),
    (3, "x"),
    (100,),
):
    _try("quantised", byway.quantised, *_given)
for _options in (
    {"function": 3},
    {"function": None},
    {"function": np.tanh, "gain": NAN},
    {"function": np.tanh, "gain": -1.0},
):
    _try("host", byway.host, "box", **_options)
for _given in (("",), ("a/b",), (3,), (None,)):
    _try("Score", byway.Score, *_given)
for _options in (
    *({"scale": v} for v in (0, -1.0, NAN, "x", None)),
    *({"best": v} for v in (NAN, "x")),
    *({"higher": v} for v in ("lower", None, 1)),
    {"finish": 3},
    {"unit": 3},
    {"title": None},
):
    _try("Score", byway.Score, "f1", **_options)


def outcome(call: Callable[[], object]) -> str:
    """ "refused" with the message that a user reads, or what else came of it."""
    try:
        call()
    except BywayError as error:
        return f"refused: {error}"
    except Exception as error:
        return f"traceback: {type(error).__name__}: {error}"
    return "nothing was said"


if __name__ == "__main__":
    print(json.dumps({name: outcome(call) for name, call in CASES.items()}))
