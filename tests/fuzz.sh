#!/usr/bin/env bash
# Fuzzes the parsers of what clients, upstreams, stores, Redis and the operator send: afl-fuzz sees which edges of the code an input takes,
# and changes the inputs that take new ones.
#
#   tests/fuzz.sh [SECONDS [PARSER...]]     60 seconds for each parser if none are given; all parsers, and a planted fault to be found
#   tests/fuzz.sh planted [SECONDS]         until the planted fault is found, or for 120 seconds
#   tests/fuzz.sh coverage [PARSER...]      which branches of each parser its known inputs take, or which lines of a parser that has no
#                                           branches; fails below 90 %
#
# FUZZ_JOBS says how many run at once (the number of processors), FUZZ_OUT where the results are (artifacts/fuzz). With FUZZ_KEEP=1 the
# inputs in tests/Mirror.Tests/Parsing/Corpus are replaced by the smallest set of what was found. The exit code is 0 if no parser crashed
# or hung, and the planted fault, if it ran, was found.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mode=
if [ "${1:-}" = coverage ] || [ "${1:-}" = planted ]; then mode=$1; shift; fi
out=$(realpath -m "${FUZZ_OUT:-artifacts/fuzz}")
jobs=${FUZZ_JOBS:-$(nproc)}
planted=planted-fault
mkdir -p "$out"

# In a folder of its own: instrumented assemblies must not get into others. The instrumentation reads no machine code (ReadyToRun).
build() {
    rm -rf "$out/bin"
    dotnet build tests/Mirror.Fuzz -c Release --nologo -v quiet -p:PublishReadyToRun=false -p:RunAnalyzers=false \
        --artifacts-path "$out/build"
    cp -r "$out/build/bin/Mirror.Fuzz/release" "$out/bin"
}

# coverlet counts the branches, in one process for each parser.
if [ "$mode" = coverage ]; then
    build
    if [ $# -gt 0 ]; then parsers=("$@"); else mapfile -t parsers < <(dotnet "$out/bin/Mirror.Fuzz.dll" list); fi
    rm -rf "$out/coverage"
    mkdir -p "$out/coverage"
    dotnet restore tests/Mirror.Coverage -v quiet --artifacts-path "$out/build-coverage"
    # The instrumented assemblies write their counts where they were instrumented.
    rm -rf "$out/covered"
    cp -r "$out/bin" "$out/covered"
    dotnet msbuild tests/Mirror.Coverage -t:Measure -v:quiet -noLogo -p:ArtifactsPath="$out/build-coverage" \
        -p:Program="$out/covered/Mirror.Fuzz.dll" -p:Folder="$out/coverage" "-p:Parsers=\"$(IFS=';'; echo "${parsers[*]}")\"" \
        >"$out/coverage/log" || { tail -n 20 "$out/coverage/log"; exit 1; }
    dotnet "$out/bin/Mirror.Fuzz.dll" coverage "$out/coverage" "${parsers[@]}"
    exit
fi

seconds=${1:-60}
if [ "$mode" = planted ]; then
    # Stops at the first crash.
    export AFL_BENCH_UNTIL_CRASH=1
    set -- "${1:-120}" "$planted"
    seconds=$1
fi
[ $# -eq 0 ] || shift

if ! command -v afl-fuzz >/dev/null; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends afl++ >/dev/null
fi
tool="$out/tool/sharpfuzz"
[ -x "$tool" ] || dotnet tool install SharpFuzz.CommandLine --version 2.3.0 --tool-path "$out/tool" >/dev/null

echo "Building and instrumenting."
build
# A tool that is installed in a folder finds the runtime only by this variable.
export DOTNET_ROOT="${DOTNET_ROOT:-$(dirname "$(readlink -f "$(command -v dotnet)")")}"
"$tool" "$out/bin/Mirror.dll"
"$tool" "$out/bin/Mirror.Storage.dll"
"$tool" "$out/bin/Mirror.Fuzz.dll" Mirror.Fuzz.PlantedFault

program=(dotnet "$out/bin/Mirror.Fuzz.dll")
"${program[@]}" dictionary >"$out/dictionary"
if [ $# -gt 0 ]; then parsers=("$@"); else mapfile -t parsers < <("${program[@]}" list; echo "$planted"); fi

# No interface, no advice about the machine, and no check for code that afl-cc compiled. Known inputs that crash are passed over.
export AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_AFFINITY=1 AFL_SKIP_BIN_CHECK=1 AFL_SKIP_CRASHES=1
export AFL_FORKSRV_INIT_TMOUT=120000

fuzz() {
    local parser=$1
    rm -rf "$out/in/$parser" "$out/runs/$parser"
    mkdir -p "$out/in/$parser" "$out/runs"
    "${program[@]}" "$parser" --inputs "$out/in/$parser"
    afl-fuzz -i "$out/in/$parser" -o "$out/runs/$parser" -x "$out/dictionary" -t 30000 -m none -V "$seconds" \
        -- "${program[@]}" "$parser" >"$out/runs/$parser.log" 2>&1 || true
    if [ "${FUZZ_KEEP:-}" = 1 ] && [ "$parser" != "$planted" ]; then
        local corpus="tests/Mirror.Tests/Parsing/Corpus/$parser" found="$out/found/$parser"
        rm -rf "$found" "$corpus"
        mkdir -p "$found" "$corpus"
        cp "$out/in/$parser"/* "$out/runs/$parser/default/queue"/id* "$found"
        "${program[@]}" "$parser" --smallest "$found" "$corpus" >"$out/runs/$parser.kept"
    fi
}

running=0
for parser in "${parsers[@]}"; do
    if [ "$running" -ge "$jobs" ]; then wait -n; running=$((running - 1)); fi
    fuzz "$parser" &
    running=$((running + 1))
done
wait

code=0
for parser in "${parsers[@]}"; do
    # Empty if afl-fuzz did not start: it is a failure of this parser, and the others follow.
    value() { sed -n "s/^$1 *: *//p" "$out/runs/$parser/default/fuzzer_stats" 2>/dev/null || true; }
    crashes=$(value saved_crashes) hangs=$(value saved_hangs)
    printf '%-20s %10s executions in %4s s, %5s edges, %s crashes, %s hangs\n' \
        "$parser" "$(value execs_done)" "$(value run_time)" "$(value edges_found)" "$crashes" "$hangs"
    if [ -z "$crashes" ]; then
        tail -n 5 "$out/runs/$parser.log"
        code=1
    elif [ "$parser" = "$planted" ]; then
        [ "$crashes" -gt 0 ] || code=1
    elif [ $((crashes + hangs)) -gt 0 ]; then
        code=1
        "${program[@]}" "$parser" --run "$out/runs/$parser/default"/{crashes,hangs}/id* 2>/dev/null | head -n 12 || true
    fi
done
exit $code
