"""What Byway does to the process that imports it: nothing, until it is asked to."""

import subprocess
import sys

import pytest

# Everything of other people's that ours imports, each of which may do as it likes with the process.
OTHERS = """
import equinox, jax, jax.experimental, jax.extend.core, jaxtyping, numpy, optax, orbax.checkpoint
import duckdb, filelock, jinja2, pooch, requests, rich.console, safetensors.numpy, scipy.special
import scipy.stats, sklearn.base, sklearn.utils.validation, starlette.applications, tomli_w, tyro
import uvicorn
import absl.logging, contextlib
with contextlib.suppress(ImportError):  # not in every version
    import jax._src.xla_transform
"""
IMPORTED = """
import importlib, logging, os, pkgutil, sys, warnings

def seen():
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    return {
        "jax": dict(jax.config.values),
        "environment": dict(os.environ),
        "loggers": {
            one.name: (one.level, list(one.handlers), list(one.filters), one.propagate)
            for one in loggers if isinstance(one, logging.Logger)
        },
        "warnings": list(warnings.filters),
        "path": list(sys.path),
    }

before = seen()
import byway
for name in byway.__all__:
    getattr(byway, name)
names = [m.name for m in pkgutil.walk_packages(byway.__path__, "byway.")]
for name in names:
    importlib.import_module(name)
for what, after in seen().items():
    assert after == before[what], (what, set(after) ^ set(before[what]))
print(jax.device_count(), len(names) > 100)
"""
THREE_CORES = "import byway.system.machine as machine; machine.cores = lambda: 3\n"


def run(program: str, **env: str) -> str:
    """What a program prints, in a process of its own that none of our settings reach."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path), **env},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_all_of_it_changes_nothing():
    assert run(OTHERS + IMPORTED) == "1 True"


def test_import_byway_does_not_import_jax():
    assert run("import byway, sys; print('jax' in sys.modules)") == "False"


def test_every_core_has_a_device_once_that_was_asked_for():
    ask = "print(byway.use_all_cores())\n"
    twice = f"{THREE_CORES}import byway, jax\n{ask}{ask}print(jax.devices())"
    cpus = "[CpuDevice(id=0), CpuDevice(id=1), CpuDevice(id=2)]"
    assert run(twice) == f"3\n3\n{cpus}"


@pytest.mark.slow
def test_a_number_of_devices_that_was_chosen_is_left():
    ask = f"{THREE_CORES}import byway; print(byway.use_all_cores())"
    assert run(ask, JAX_NUM_CPU_DEVICES="2") == "2"
    assert run(ask, XLA_FLAGS="--xla_force_host_platform_device_count=4") == "4"
    assert run(f"import jax; jax.config.update('jax_num_cpu_devices', 1); {ask}") == "1"


def test_where_jax_may_use_accelerators_alone_there_are_no_cpu_devices_to_ask_for():
    program = """
import jax

def devices(platform=None):
    raise RuntimeError(f"Unknown backend: '{platform}' requested; present are: cuda")

jax.devices = devices
import byway
print(byway.use_all_cores())
"""
    assert run(program) == "0"


def test_once_jax_computes_the_call_says_what_to_do():
    program = f"""{THREE_CORES}
import jax; jax.devices()
import byway
try:
    byway.use_all_cores()
except byway.BywayError as error:
    print(type(error).__name__, error)
"""
    said = run(program)
    assert said.startswith("ConfigError byway.use_all_cores() after JAX began computing, on 1 of 3")
    assert "at the top of the program" in said and "restart the kernel" in said


@pytest.mark.slow
def test_fit_says_once_that_cores_stay_idle_and_changes_nothing():
    program = f"""{THREE_CORES}
import byway, jax, warnings
task = byway.task("digits")
net = byway.mlp(task.input_shape, 4, task.outputs)
before = dict(jax.config.values)
for seeds in (1, 2, 2):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        byway.fit(net, byway.rule("frozen"), task, epochs=1, seeds=seeds, looks=0, progress=False)
    print([(one.category.__name__, one.filename, str(one.message)) for one in told])
print(dict(jax.config.values) == before)
"""
    alone, first, second, same = run(program, JAX_DISABLE_MOST_OPTIMIZATIONS="1").splitlines()
    assert (alone, second, same) == ("[]", "[]", "True")
    assert first == str(
        [
            (
                "BywayWarning",
                "<string>",
                "2 seeds train on 1 of 3 cores. To use all of them, put byway.use_all_cores() at "
                "the top of the program, before JAX computes anything",
            )
        ]
    )


@pytest.mark.slow
def test_nothing_is_said_where_devices_were_chosen():
    ask = "from byway.system.process import warn_of_idle_cores as warn\nwarn(2)"
    program = f"{THREE_CORES}import warnings; warnings.simplefilter('error')\n"
    run(program + ask, JAX_NUM_CPU_DEVICES="1")
    run(f"{program}import byway; byway.use_all_cores()\n{ask}")
    run(f"{program}machine.cores = lambda: 1\n{ask}")


def test_the_cache_is_ours_unless_one_is_chosen(tmp_path):
    where = "print(jax.config.jax_compilation_cache_dir)\n"
    program = f"import byway, jax\n{where}print(byway.use_compilation_cache())\n{where}"
    ours = str(tmp_path / "xla")
    assert run(program, BYWAY_CACHE=str(tmp_path)).splitlines() == ["None", ours, ours]
    chosen = run(program, BYWAY_CACHE=str(tmp_path), JAX_COMPILATION_CACHE_DIR="/elsewhere")
    assert chosen.splitlines() == ["/elsewhere"] * 3
