#!/bin/sh
# Two versions of the server take turns on one store, with clients that go on: this one, and an older commit, which is built for it.
#
#   tests/two-versions.sh COMMIT
set -eu
cd "$(dirname "$0")/.."
old=$(mktemp -d)
trap 'git worktree remove --force "$old/tree"; rm -rf "$old"' EXIT
git worktree add --detach "$old/tree" "$1"
dotnet build "$old/tree/src/Mirror" -c Release --nologo -v quiet -p:PublishReadyToRun=false
dotnet build tests/Mirror.Tests -c Release --nologo -v quiet
MIRROR_OLDER=$(echo "$old"/tree/src/Mirror/bin/Release/*/Mirror.dll) MIRROR_TESTS=full MIRROR_FIGURES=/dev/stderr \
    dotnet test --project tests/Mirror.Tests -c Release --no-build -- --filter-class Mirror.Tests.Resilience.TwoVersionsTests
