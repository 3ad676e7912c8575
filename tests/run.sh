#!/usr/bin/env bash
# Runs every test, on a fresh Debian machine with the .NET 10 SDK: installs the real programs the tests talk to, builds once, and closes with
# one line "N passed, N failed, N skipped". Exit code 0 if something passed and nothing failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# program=package. Daemons are not started by their packages: the tests run their own, on free ports.
peers=(docker-registry=docker-registry skopeo=skopeo podman=podman dockerd=docker.io docker=docker.io containerd=containerd ctr=containerd
       umoci=umoci nginx=nginx redis-server=redis-server wrk=wrk jq=jq curl=curl
       ceph-mon=ceph-mon ceph-osd=ceph-osd radosgw=radosgw ceph=ceph-common)

have() { PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$1" >/dev/null; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"
    elif have sudo && sudo -n true 2>/dev/null; then sudo -n "$@"
    else return 1
    fi
}

install_peers() {
    local peer wanted=()
    for peer in "${peers[@]}"; do
        have "${peer%%=*}" || wanted+=("${peer#*=}")
    done
    [ ${#wanted[@]} -gt 0 ] || return 0
    mapfile -t wanted < <(printf '%s\n' "${wanted[@]}" | sort -u)
    if ! have apt-get || ! as_root true; then
        echo "Not installed, as this needs apt-get and root or sudo: ${wanted[*]}. The tests that need them are skipped."
        return 0
    fi
    echo "Installing for the tests: ${wanted[*]}"
    # Services of these packages must not start, and Debian's sample /etc/docker/registry/config.yml must not be taken for the mirror's own.
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod +x "$policy" && made=1
    fi
    as_root apt-get update -qq || echo "apt-get update failed; trying with the lists that are there."
    local package
    for package in "${wanted[@]}"; do
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            -o Dpkg::Options::=--path-exclude=/etc/docker/registry/config.yml -o Dpkg::Options::=--force-confdef \
            -o DPkg::Lock::Timeout=120 "$package" >/dev/null \
            || echo "Could not install $package. The tests that need it are skipped."
    done
    [ -z "$made" ] || as_root rm -f "$policy"
}

install_peers

dotnet build -c Release --nologo -v quiet

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
code=0
# 8 is an assembly without tests; that none passed at all is seen below.
dotnet test --solution Mirror.slnx -c Release --no-build --results-directory "$results" --report-xunit-trx \
    --ignore-exit-code 8 || code=$?

# One .trx per test assembly: the counts, and why a test was skipped.
passed=0 failed=0 skipped=0
for trx in "$results"/*.trx; do
    [ -e "$trx" ] || continue
    counters=$(grep -o '<Counters [^>]*>' "$trx")
    of() { sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" <<<"$counters"; }
    passed=$((passed + $(of passed)))
    failed=$((failed + $(of failed) + $(of error) + $(of timeout) + $(of aborted)))
    skipped=$((skipped + $(of notExecuted)))
done

if [ "$skipped" -gt 0 ]; then
    echo "Skipped:"
    cat "$results"/*.trx | tr -d '\r\n' | sed 's/<UnitTestResult /\n&/g' \
        | sed -n 's/.*testName="\([^"]*\)" outcome="NotExecuted".*<StdOut>\([^<]*\)<.*/  \1: \2/p'
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ] && [ "$code" -eq 0 ]
