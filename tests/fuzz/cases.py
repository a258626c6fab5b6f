"""Bad inputs: what is tried on the command line, in config.toml, on the Python API and in files."""

import random

# Numbers that are none, or far outside any range.
NUMBERS = ("-1", "nan", "1e400", "x", "", "99999999999999999999")
# What a flag of `byway train` may not be.
FLAGS = {
    "--epochs": ("0", "1.5", *NUMBERS),
    "--seeds": ("0", *NUMBERS),
    "--batch": ("0", *NUMBERS),
    "--probe": ("0", "-1", "x"),
    "--first-seed": ("-1", "4294967296", "x"),
    "--lr": ("-1", "0", "nan", "inf", "x"),
    "--lr-gamma": ("nan", "0"),
    "--looks": ("-1", "1", "1000000000", "x"),
    "--look-at": ("-1", "9999999", "x"),
    "--every": ("1", "0", "x"),
    "--save-every": ("-1", "nan", "x"),
    "--keep": ("-1", "x"),
    "--optimiser": ("", "adan"),
    "--schedule": ("", "cos"),
    "--net.hidden": ("0", "-3", "x", "99999999999"),
    "--net.kernel": ("0",),
    "--net.activation": ("", "rleu"),
    "--net.kind": ("", "cnn"),
    "--task": ("", "minst"),
    "--tasks": ("", "digits", "digits,digits", "digits,nope"),
    "--folds": ("1", "x"),
    "--rule": ("", "../bp", "bp,fa"),
    "--out": ("/dev/null/run",),
    "--ff.peer": ("nan", "inf", "-1"),
    "--pc.steps": ("0", "1e9"),
    "--digits.validation": ("0", "1437", "x"),
    "--digits.loss": ("cross",),
    "--config": ("nowhere.toml", "/"),
    "--sedes": ("3",),
}
IN_TIME = {
    "adding.length": ("1", "99999999999"),
    "copy.symbols": ("1",),
    "delayed-xor.noise": ("nan", "-1"),
    "copy.delay": ("-1",),
}
OTHER_VERBS = (
    *(["nope"], [""], ["--nope"]),
    *(["compare", "--rules", names] for names in ("", ",", "bp,bp", "bp,nope")),
    *(["compare", "--seeds"], ["compare", "more"]),
    ["compare", "--task", "mnist", "--folds", "5"],
    *(["verify", "nope"], ["verify", "--nope"], ["verify", ""]),
    *(["reproduce", "nope"], ["reproduce", ""], ["reproduce", "--nope"], ["reproduce", "--quick"]),
    ["reproduce", "perturbation_variance", "--out", "x"],
    *(
        ["audit", "nope"],
        ["audit", "bp", "--net", ""],
        ["audit", "bp", "--net", "cnn"],
        ["audit", "--numeric", "3"],
    ),
    *(["list", "more"], ["list", "--more"]),
    *(["report"], ["report", "nowhere"], ["report", "/dev/null"], ["report", "a", "b"]),
    *(["predict"], ["predict", "nowhere", "x.csv"], ["predict", "/dev/null", "x.csv"]),
    *(["resume"], ["resume", "nowhere"], ["resume", ""]),
    *(["branch"], ["branch", "nowhere"], ["branch", "nowhere", "--at", "x"]),
)
META = {
    "--name": ("A", "", "bp", "../x"),
    "--task": ("nope", "adding"),
    "--classes": ("0", "-1 2", "0 0", "0 99", "x", "0 1 2 3 4 5 6 7 8"),
    "--hidden": ("0", "-1"),
    "--trial-hidden": ("0", "x"),
    "--activation": ("rleu",),
    "--meta-steps": ("0", "-1", "x"),
    "--episodes": ("0", "-1"),
    "--steps": ("0", "-1"),
    "--batch": ("0", "100000"),
    "--lr": ("nan", "-1", "0"),
    "--meta-lr": ("nan", "inf", "0"),
    "--sparsity": ("nan", "-1"),
    "--seeds": ("0", "-1"),
    "--seed": ("-1", "99999999999999999999"),
}


def _naming(flag):
    """The rule whose setting it is, by name."""
    rule = flag[2:].partition(".")[0]
    return ["--rule", rule] if rule in ("ff", "pc") else []


COMMANDS = [
    *(["train", *_naming(flag), flag, value] for flag, values in FLAGS.items() for value in values),
    *(
        [
            "train",
            "--task",
            name.partition(".")[0].replace("-", "_"),
            "--rule",
            "rtrl",
            f"--{name}",
            value,
        ]
        for name, values in IN_TIME.items()
        for value in values
    ),
    *(
        ["train", "--net.kind", "convnet", flag, "0"]
        for flag in ("--net.channels", "--net.kernel", "--net.pool")
    ),
    *OTHER_VERBS,
    *(
        ["meta", flag, *(value.split() or [""])]
        for flag, values in META.items()
        for value in values
    ),
]

WHOLE = (
    'rule = "bp"\ntask = "digits"\nseeds = 2\nlr = 0.1\nlook_at = [0, 3]\n\n'
    '[net]\nhidden = [8]\nactivation = "relu"\n\n[digits]\nvalidation = 100\n'
)
_draw = random.Random(0)
CONFIGS = [
    *(
        "rule",
        "rule =",
        "rule = bp",
        "= 3",
        "[net",
        "[net]]",
        'rule = "bp',
        "rule = 'bp'\nrule = 'fa'",
        "\x00",
        "lr = 1e",
        "[[net]]\nhidden = [1]",
    ),
    *(
        f"{name} = 3"
        for name in (
            "sedes",
            "Rule",
            "net.hiden",
            "ff.threshhold",
            "digits.white",
            "no.such.table",
            "rules",
        )
    ),
    *(
        f"{name} = {value}"
        for name in ("seeds", "epochs", "batch", "first_seed")
        for value in ('"3"', "1.5", "true", "[1]", "-1", "{}")
    ),
    *(
        f"{name} = {value}"
        for name in ("lr", "lr_gamma")
        for value in ('"x"', "true", "nan", "-inf", "[0.1]")
    ),
    *(
        f"{name} = {value}"
        for name in ("task", "rule", "optimiser", "schedule")
        for value in ("3", "true", '"nope"', "[]")
    ),
    *(
        f"net.{name} = {value}"
        for name in ("hidden", "kind", "activation", "norm")
        for value in ('"x"', "3", "[[1]]")
    ),
    *(
        f'rule = "ff"\nff.{name} = {value}'
        for name in ("peer", "keep", "threshold")
        for value in ('"x"', "nan", "-1")
    ),
    # What a copy that was cut short leaves: somewhere within a line.
    *sorted(
        {
            WHOLE[:cut]
            for cut in _draw.sample(range(8, len(WHOLE)), 60)
            if WHOLE[cut - 1] in '"=[.,a '
        }
    ),
]

# What a file of a run may hold after an accident, and each file that is read again; of JSON lines
# two of them, of a JSON file the first.
BROKEN = {
    "nothing": b"",
    "half": b'{"format": 1, "label": "bp", "se',
    "no text": bytes(range(128, 200)),
    "null": b"null\n",
    "a number": b"3\n",
    "a list": b"[1, 2]\n{}\n",
    "other keys": b'{"spam": 1}\n{"spam": 2}\n',
    "other kinds": b'{"format": [], "label": [], "seeds": 3, "test": [], "verdict": 3, '
    b'"step": "x", "seed": [], "values": 4, "settings": "x"}\n{}\n',
    "deeper": b'{"format": 1, "asked": 3, "label": "bp", "rule_id": "bp", "task_id": "digits", '
    b'"seeds": ["x"], "test": {"accuracy": 3}, "verdict": {}, "updates": {"a": 3}, "findings": [], '
    b'"seed": 0, "step": 1, "epoch": {}, "seconds": 0.0, "values": {}}\n{}\n',
}
JOB = "jobs/bp/0-2"
RUN_FILES = (
    "run.json",
    "config.toml",
    *(f"{JOB}/{part}.json" for part in ("job", "outcome", "audit")),
    f"{JOB}/history.jsonl",
    f"{JOB}/weights.safetensors",
    f"{JOB}/predictions.safetensors",
)
# What is no accident there: an empty history, one that was cut short, an outcome of which nothing
# is known, settings, which a report shows and does not read.
SOUND = {
    *((f"{JOB}/history.jsonl", name) for name in ("nothing", "half")),
    (f"{JOB}/outcome.json", "other keys"),
    *(("config.toml", name) for name in BROKEN if name != "no text"),
}
FILES = [(file, name) for file in RUN_FILES for name in BROKEN if (file, name) not in SOUND]
# What a run that is resumed reads: of its settings, and of a job that has finished.
RESUMED = [(file, name) for file, name in FILES if file.endswith(("run.json", "outcome.json"))] + [
    ("config.toml", name) for name in BROKEN
]


def broken(file, name):
    """What is in a file after an accident."""
    return BROKEN[name].split(b"\n")[0] if file.endswith(".json") else BROKEN[name]


LEARNED = [*BROKEN, "too short", "not finite"]
IDX = {
    "nothing": b"",
    "too short": b"\x00\x00\x08",
    "another type": b"\x00\x00\x0d\x01\x00\x00\x00\x02\x01\x02",
    "cut header": b"\x00\x00\x08\x03\x00\x00\x00\x02",
    "too few": b"\x00\x00\x08\x01\x00\x00\x00\x05\x01\x02",
    "too many": b"\x00\x00\x08\x01\x00\x00\x00\x01\x01\x02\x03",
    "a huge shape": b"\x00\x00\x08\x02\xff\xff\xff\xff\xff\xff\xff\xff\x01",
}
