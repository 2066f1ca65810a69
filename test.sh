#!/usr/bin/env bash
# Builds what is needed and runs every test: units and slow units, Python oracles, the real server with
# real clients, sanitizers, a minute of each fuzz target. Safe to run again. On two cores about 40 minutes from nothing.
#   ./test.sh          everything
#   ./test.sh fast     layers, release build, all fast units in it, Python tests
set -euo pipefail
cd "$(dirname "$0")"
what=${1:-all}
started=$SECONDS
step() { printf '\n== %s (at %d s)\n' "$1" "$((SECONDS - started))"; }

step "Packages and models"
tools/install_deps test
[ -x build/venv/bin/python ] || python3 -m venv build/venv
build/venv/bin/pip install -q --disable-pip-version-check -r tests/requirements.txt
build/venv/bin/python tools/get_models.py models smollm2 gemma3 qwen05 minilm vocab

step "Layers"
tools/check_layers

step "Release build"
cmake --preset release >/dev/null
cmake --build --preset release

step "Unit tests"
export LLAMABOX_MODELS=$PWD/models LLAMABOX_BUILD=$PWD/build/release
if [ "$what" = fast ]; then
  cmake --build --preset release --target unit_tests
  ctest --preset release -LE slow -j2
else
  ctest --preset release -LE 'slow|plain' -j2  # the plain ones: below, under sanitizers
fi

step "Python tests: oracles and end to end"
build/venv/bin/python -m pytest -q -n 2 tests

if [ "$what" = fast ]; then
  exit 0
fi

step "Slow unit tests"
ctest --preset release -L slow -j2

step "Address and undefined-behaviour sanitizers (the build that fuzzing uses too)"
cmake --preset asan >/dev/null
cmake --build --preset asan --target unit_tests
ctest --preset asan -LE slow -j2

step "Thread sanitizer"
cmake --preset tsan >/dev/null
cmake --build --preset tsan --target base_tests kernels_tests engine_tests server_tests text_tests
ctest --preset tsan -LE slow -j2 -R '^(base|kernels|engine|server)$'
build/tsan/text_tests --gtest_brief=1 --gtest_filter='FragmentCache*'  # the rest of it has no threads

step "Fuzz targets, one minute each, two at a time"
tools/fuzz 60

step "All passed"
