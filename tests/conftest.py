"""Tests run in float64 with strict promotion, so that an exact test is exact."""

import gc
import itertools
import os
import re
from importlib.metadata import version
from pathlib import Path

# Tests, and the programs that they start, compile a lot and compute little: this divides the
# time that XLA takes by five. Later versions do not know the flags, and end at one that they do
# not know.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
if version("jaxlib").startswith("0.10."):
    os.environ["XLA_FLAGS"] = " ".join(
        [
            os.environ.get("XLA_FLAGS", ""),
            "--xla_cpu_use_fusion_emitters=false",
            # Two workers have a core each: pieces for other threads are only more work.
            "--xla_cpu_parallel_codegen_split_count=1",
        ]
    )

import jax
import pytest
from beartype import BeartypeConf, BeartypeDecorPlace
from beartype.claw import beartype_package
from jaxtyping import install_import_hook

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


# No test sees the rules that the user of this machine has learned.
os.environ["BYWAY_RULES"] = os.devnull

# Before anything imports byway: every annotated call is checked, an int counts as a float.
# jaxtyping's check, which also holds that sizes of one name are one number, costs a call
# ten times as much: modules that name no shapes are left to beartype alone.
SOURCE = Path(__file__).parents[1] / "src"
beartype_package(
    "byway",
    conf=BeartypeConf(
        is_pep484_tower=True,
        violation_type=TypeError,  # as jaxtyping's is
        claw_is_pep526=False,
        claw_decor_place_func=BeartypeDecorPlace.FIRST,  # what JAX makes of a function stays it
    ),
)
install_import_hook(
    [
        ".".join(file.relative_to(SOURCE).with_suffix("").parts)
        for file in SOURCE.rglob("*.py")
        if re.search("jaxtyping|sklearn", file.read_text(encoding="utf-8"))
    ],
    "strict_types.check",
)

from tests import small_programs  # noqa: E402
from tests.part import Part, part  # noqa: E402

import byway  # noqa: E402

small_programs.spare()
byway.use_all_cores()
# Programs that a test starts read where it is from here.
if folder := byway.use_compilation_cache():
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"


def pytest_addoption(parser):
    parser.addoption(
        "--part",
        type=part,
        default=Part(1, 1),
        metavar="K/N",
        help="run one of N equal parts of the tests that are selected, which all together are they",
    )


@pytest.hookimpl(trylast=True)  # after -m and -k
def pytest_collection_modifyitems(config, items):
    chosen = config.getoption("part")
    left = [item for position, item in enumerate(items) if position not in chosen]
    items[:] = [item for position, item in enumerate(items) if position in chosen]
    config.hook.pytest_deselected(items=left)


# Tracing makes very many objects, nearly none of them garbage: to look for it as often as Python
# does by default takes a sixth of the time.
gc.set_threshold(100_000, 20, 50)

TESTS = itertools.count(1)


def pytest_runtest_teardown():
    """Compiled programs stay until they are told to go, which comes to gigabytes in a whole run."""
    if next(TESTS) % 300 == 0:
        small_programs.clear()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, or a skip that says how to get one."""
    folder = os.environ.get("BYWAY_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real data: set BYWAY_DATA to a folder with mnist/, fashion_mnist/ ...")
    return Path(folder)
