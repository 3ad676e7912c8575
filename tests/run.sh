#!/usr/bin/env bash
# Runs every test on a fresh Debian machine with the .NET 10 SDK. Installs the programs that the tests use, builds once, and ends with
# one line "N passed, N failed, N skipped". The exit code is 0 if at least one test passed and none failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# program=package. The packages do not start their daemons: the tests run their own on free ports.
peers=(docker-registry=docker-registry skopeo=skopeo podman=podman dockerd=docker.io docker=docker.io containerd=containerd ctr=containerd
       pebble=pebble pebble-challtestsrv=pebble umoci=umoci faketime=faketime nginx=nginx redis-server=redis-server wrk=wrk jq=jq curl=curl openssl=openssl promtool=prometheus prometheus=prometheus
       apache2=apache2 haproxy=haproxy caddy=caddy ceph-mon=ceph-mon ceph-osd=ceph-osd radosgw=radosgw ceph=ceph-common
       rclone=rclone chromium=chromium
       swift-proxy-server=swift-proxy swift-account-server=swift-account swift-container-server=swift-container
       swift-object-server=swift-object memcached=memcached glance-api=glance-api keystone-manage=keystone mariadbd=mariadb-server-core my_print_defaults=mariadb-client-core)

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
        echo "These programs are missing, and only root (or sudo) with apt-get can install them: ${wanted[*]}. Tests that need them are skipped."
        return 0
    fi
    echo "Installing these Debian packages for the tests (about 500 MB, a few minutes): ${wanted[*]}"
    # The services of these packages must not start. Debian's sample /etc/docker/registry/config.yml is left out, so that no test takes it for its own.
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

# Microsoft's emulator of Azure Blob Storage is a package of npm.
install_azurite() {
    have azurite-blob && return 0
    as_root true || return 0
    have npm || as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null || true
    echo "Installing azurite for the tests (about 350 MB, a minute)."
    as_root npm install --global --no-audit --no-fund --loglevel=error azurite@3.37.0 >/dev/null \
        || echo "Could not install azurite. The tests that need it are skipped."
}

# What signs addresses for CloudFront in programs of others.
install_cloudfront_signer() {
    have npm && as_root true || return 0
    [ -d "$(npm root -g)/@aws-sdk/cloudfront-signer" ] && return 0
    as_root npm install --global --no-audit --no-fund --loglevel=error @aws-sdk/cloudfront-signer@3 >/dev/null \
        || echo "Could not install @aws-sdk/cloudfront-signer. The tests that need it leave that part out."
}

install_peers
install_azurite
install_cloudfront_signer

echo "Building, then running all tests. On two cores this takes about 25 minutes."
dotnet build -c Release --nologo -v quiet

# The tests and the programs they start keep their files in one folder, which goes at the end.
scratch=$(mktemp -d "${TMPDIR:-/tmp}/mirror.XXXXXX")
# Some tests run a program as another user, who must get to its files.
chmod 755 "$scratch"
output=$(mktemp)
clean() {
    # A container engine that was ended in the middle of a test may have left mounts.
    while read -r mount; do umount -l "$mount" 2>/dev/null || true; done < <(awk -v under="$scratch/" 'index($2, under) == 1 { print $2 }' /proc/mounts | tac)
    rm -rf "$scratch" "$output" 2>/dev/null || true
}
trap clean EXIT
code=0
export DOTNET_CLI_UI_LANGUAGE=en
# The tests in a browser leave a picture of each page, which stays.
export MIRROR_SCREENSHOTS="${MIRROR_SCREENSHOTS:-$PWD/tests/screenshots}"
mkdir -p "$MIRROR_SCREENSHOTS"
# 8 is the exit code of an assembly without tests. That no test ran at all is noticed below.
TMPDIR="$scratch" dotnet test --solution Mirror.slnx -c Release --no-build --ignore-exit-code 8 --output Detailed --no-ansi | tee "$output" \
    | awk '/^passed / { if (++passed % 100 == 0) { print passed " tests passed so far"; fflush() } quiet = 1; next }
           /^ / && quiet { next }
           { quiet = 0; print; fflush() }' || code=$?

# The summary of the test runner, over all assemblies.
count() { sed -n "s/^ *$1: *\([0-9]*\)\r*$/\1/p" "$output" | tail -1; }
passed=$(count succeeded) failed=$(count failed) skipped=$(count skipped)
# What failed stands far above by now, or was cut off by what shows this output: it is said again, each test with its first lines.
if [ "${failed:-1}" -gt 0 ]; then
    echo "Failed:"
    awk '/^failed /{ lines = 12 } lines > 0 { print; lines-- }' "$output" | tail -n 200
fi
echo "${passed:-0} passed, ${failed:-0} failed, ${skipped:-0} skipped"
[ "${failed:-1}" -eq 0 ] && [ "${passed:-0}" -gt 0 ] && [ "$code" -eq 0 ]
