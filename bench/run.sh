#!/bin/sh
# Measures the mirror beside its peers on this machine and prints a table for each benchmark.
#   bench/run.sh [quick|full] [name...]     names: crowd manifest blob tls cold memory start growth s3 fleet
# MIRROR_PARENT=/path/of/an/earlier/build/Mirror.dll bench/run.sh ...     measures it beside that build instead, in turns
set -eu
cd "$(dirname "$0")/.."
dotnet build -c Release -v q --nologo src/Mirror
dotnet build -c Release -v q --nologo bench/Mirror.Bench
exec dotnet bench/Mirror.Bench/bin/Release/net10.0/Mirror.Bench.dll "$@"
