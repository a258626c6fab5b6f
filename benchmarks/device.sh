#!/usr/bin/env bash
# What an accelerator does with Byway, in under eight minutes: exact tests on it, eight seeds in one program beside one by one,
# epochs beside the hand-written floors and whichever peers are there, and memory.
#
#   benchmarks/device.sh            with JAX for the card, or a network to install it from; MNIST in BYWAY_DATA, or digits alone
#   WHEELS=folder benchmarks/device.sh   without a network: what is missing, as wheels
set -uo pipefail
cd "$(dirname "$0")/.."
venv=.venv-device
test -x $venv/bin/python || python3 -m venv --system-site-packages $venv
if [ -n "${WHEELS:-}" ]; then
  $venv/bin/pip install --quiet --no-index --find-links "$WHEELS" --editable '.[dev]' || exit 1
else
  $venv/bin/pip install --quiet --editable '.[cuda,dev]' || exit 1
fi
export PYTHONUNBUFFERED=1 XLA_PYTHON_CLIENT_PREALLOCATE=false
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || true
$venv/bin/python -c 'import jax; print(jax.__version__, jax.devices()); raise SystemExit(jax.default_backend() == "cpu")' || exit 1
export BYWAY_BENCH_PLATFORM=${BYWAY_BENCH_PLATFORM:-cuda}

echo '## Exact tests on the card'
oracles=$(printf 'tests/oracles/test_%s.py ' bp dfa fa pc ep bptt rtrl eprop sparse projections)
timeout 180 $venv/bin/python -m pytest -q -p no:cacheprovider -n 4 --dist loadfile -m 'not slow' $oracles tests/training/test_fit.py

echo '## Speed and memory'
timeout 240 $venv/bin/python -m benchmarks seeds epoch memory --repeats 3
