#!/usr/bin/env bash
# What an accelerator does with Byway, in under eight minutes: exact tests on it, many seeds in one
# program beside one by one, epochs beside the hand-written floors and PyTorch, and memory.
#
#   benchmarks/device.sh                 installs Byway with JAX for the card, from the network
#   WHEELS=folder benchmarks/device.sh   on a machine that has JAX for the card and no network:
#                                        what else is missing, as wheels, Byway's own among them
#
# MNIST is read from BYWAY_DATA. TESTS and BENCH say which tests and which benchmarks, REPRODUCE which
# published figures to measure, into folders of OUT.
set -uo pipefail
cd "$(dirname "$0")/.."
if [ -n "${WHEELS:-}" ]; then
  python=${PYTHON:-python3}
  $python -m pip install --quiet --no-index --no-deps --upgrade --target .venv-device/site \
    "$WHEELS"/*.whl || exit 1
  export PYTHONPATH=$PWD/src:$PWD/.venv-device/site
else
  python=.venv-device/bin/python
  test -x $python || ${PYTHON:-python3} -m venv .venv-device
  $python -m pip install --quiet --editable '.[cuda,dev]' || exit 1
fi
export PYTHONUNBUFFERED=1 XLA_PYTHON_CLIENT_PREALLOCATE=false
export BYWAY_BENCH_PLATFORM=${BYWAY_BENCH_PLATFORM:-cuda}
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || true
$python -c 'import jax; print(jax.__version__, jax.devices())
raise SystemExit(jax.default_backend() == "cpu")' || exit 1

echo '## Exact tests on the card'
timeout --signal=INT "${TESTS_S:-180}" $python -m pytest -q -p no:cacheprovider -p no:benchmark \
  -n "${WORKERS:-12}" --dist worksteal -m 'not slow' --tb=short \
  ${TESTS:-tests/rules tests/network tests/training/test_fit.py}

echo '## Speed and memory'
timeout "${BENCH_S:-280}" $python -m benchmarks ${BENCH:-epoch memory seeds} \
  --repeats "${REPEATS:-3}"

for name in ${REPRODUCE:-}; do
  echo "## $name"
  timeout --signal=INT "${REPRODUCE_S:-240}" \
    $python -m byway reproduce "$name" --out "${OUT:-runs}/$name"
done
