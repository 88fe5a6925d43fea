#!/bin/sh
# Tests and measures ndbridge on this machine's GPU. Needs no Rust and no network.
#
#   sh run.sh [OUT [PART..]]
#
# OUT: a folder for the logs, ./out unless said. PART: device, tests, python, sanitizer, bench; all
# of them unless said. Exit code 0 if everything passed; without a driver nothing does.
#
# PYTHON names the interpreter, python3 unless said; RACECHECK=1 adds compute-sanitizer's racecheck;
# LIMIT is the most seconds that one step may take, 900 unless said.
set -u

kit=$(cd "$(dirname "$0")" && pwd) || exit 1
out=${1:-out}
[ $# -eq 0 ] || shift
parts=${*:-device tests python sanitizer bench}
python=${PYTHON:-python3}
limit=${LIMIT:-900}

mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 1
site=$(mktemp -d) || exit 1
trap 'rm -rf "$site"' EXIT
trap 'exit 1' HUP INT TERM
: > "$out/summary.txt"
failed=0
# A copy need not have kept the permission.
chmod +x "$kit"/tests/* "$kit/bench/gpu" 2> /dev/null

export NDBRIDGE_GPU=real PYTHONDONTWRITEBYTECODE=1
# JAX would take three quarters of the memory at once.
export XLA_PYTHON_CLIENT_PREALLOCATE=false

note() {
    echo "$*"
    echo "$*" >> "$out/summary.txt"
}

limited() {
    if command -v timeout > /dev/null 2>&1; then timeout "$limit" "$@"; else "$@"; fi
}

# step NAME COMMAND..: runs it; what it says is in NAME.log, the last line of it in the summary. Of
# a failure, the end is shown.
step() {
    name=$1
    shift
    begun=$(date +%s)
    if "$@" > "$out/$name.log" 2>&1 < /dev/null; then
        outcome=ok
    else
        outcome="FAILED ($?)"
        failed=1
        tail -n 12 "$out/$name.log" | sed 's/^/    /'
    fi
    last=$(grep -v '^ *$' "$out/$name.log" | tail -n 1 | cut -c 1-150)
    note "$(printf '%-12s %4s s  %-28s %s' "$outcome" $(($(date +%s) - begun)) "$name" "$last")"
}

# fail NAME REASON: a step that could not begin.
fail() {
    failed=1
    note "$(printf '%-12s %6s  %-28s %s' FAILED '' "$1" "$2")"
}

wants() {
    case " $parts " in *" $1 "*) return 0 ;; *) return 1 ;; esac
}

install_wheel() {
    set -- "$kit"/wheel/*.whl
    "$python" -m pip install --quiet --no-deps --no-index --target "$site" "$1" ||
        "$python" -m zipfile -e "$1" "$site"
}

with_pytest() {
    limited "$python" -m pytest -q -ra -p no:cacheprovider "$1"
    status=$?
    # 5: nothing to run, as the library that the file is about is missing.
    [ $status -ne 5 ] || status=0
    return $status
}

python_tests() {
    set -- "$kit"/python-tests/test_*.py
    if [ ! -f "$1" ]; then
        fail python 'no tests in the kit'
        return
    fi
    has_pytest=no
    "$python" -c 'import pytest' 2> /dev/null && has_pytest=yes
    # Each file in a process of its own: one that ends it does not end the others.
    for file in "$@"; do
        name=python-$(basename "$file" .py)
        if [ $has_pytest = yes ]; then
            step "$name" with_pytest "$file"
        else
            step "$name" limited "$python" "$kit/run_tests.py" "$file"
        fi
    done
}

rust_tests() {
    found=no
    for test in "$kit"/tests/*; do
        [ -f "$test" ] || continue
        found=yes
        step "tests-$(basename "$test")" limited "$test" --test-threads=1
    done
    [ $found = yes ] || fail tests 'no test binaries in the kit'
}

sanitized() {
    if ! command -v compute-sanitizer > /dev/null 2>&1; then
        note "$(printf '%-12s %6s  %s' 'not there' '' compute-sanitizer)"
        return
    fi
    for test in "$kit"/tests/*; do
        [ -f "$test" ] || continue
        name=$(basename "$test")
        for tool in memcheck ${RACECHECK:+racecheck}; do
            step "$tool-$name" limited \
                compute-sanitizer --tool "$tool" --error-exitcode 9 "$test" --test-threads=1
        done
    done
}

if command -v nvidia-smi > /dev/null 2>&1; then
    nvidia-smi > "$out/nvidia-smi.log" 2>&1
    nvidia-smi -q >> "$out/nvidia-smi.log" 2>&1
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || true
else
    echo 'no nvidia-smi' | tee "$out/nvidia-smi.log"
fi
[ -z "${NDBRIDGE_CUDA_DRIVER:-}" ] || note "the driver is $NDBRIDGE_CUDA_DRIVER, not the machine's"

# A small run of everything: says at once if there is no driver.
if wants device; then step device limited "$kit/bench/gpu" --bytes 65536; fi
if wants tests; then rust_tests; fi
if wants python || wants bench; then
    step install install_wheel
    PYTHONPATH=$site${PYTHONPATH:+:$PYTHONPATH}
    export PYTHONPATH
fi
if wants python; then python_tests; fi
if wants sanitizer; then sanitized; fi
if wants bench; then
    step bench limited "$kit/bench/gpu" --out "$out/gpu.jsonl"
    cat "$out/bench.log"
    step bench-python limited "$python" "$kit/bench/gpu.py" --native "$out/gpu.jsonl" "$out/gpu.md"
    [ ! -f "$out/gpu.md" ] || cat "$out/gpu.md"
fi

echo
cat "$out/summary.txt"
if [ $failed -eq 0 ]; then
    echo 'everything passed'
else
    echo "FAILED: the logs are in $out"
fi
exit $failed
