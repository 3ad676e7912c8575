#!/usr/bin/env bash
# Runs every test, on a fresh Debian machine with the .NET 10 SDK: installs the real programs the tests talk to, builds once, and closes with
# one line "N passed, N failed, N skipped". Exit code 0 if something passed and nothing failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# program=package. Daemons are not started by their packages: the tests run their own, on free ports.
peers=(docker-registry=docker-registry skopeo=skopeo podman=podman dockerd=docker.io docker=docker.io containerd=containerd ctr=containerd
       umoci=umoci nginx=nginx redis-server=redis-server wrk=wrk jq=jq curl=curl promtool=prometheus
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

output=$(mktemp)
trap 'rm -f "$output"' EXIT
code=0
export DOTNET_CLI_UI_LANGUAGE=en
# 8 is an assembly without tests; that none passed at all is seen below. Why a test was skipped is said where it was.
dotnet test --solution Mirror.slnx -c Release --no-build --ignore-exit-code 8 | tee "$output" || code=$?

# Its own summary, over all assemblies.
count() { sed -n "s/^ *$1: *\([0-9]*\)\r*$/\1/p" "$output" | tail -1; }
passed=$(count succeeded) failed=$(count failed) skipped=$(count skipped)
echo "${passed:-0} passed, ${failed:-0} failed, ${skipped:-0} skipped"
[ "${failed:-1}" -eq 0 ] && [ "${passed:-0}" -gt 0 ] && [ "$code" -eq 0 ]
