#!/usr/bin/env bash
# A demonstration on this machine, without Docker: an upstream that stands in for Docker Hub (docker-registry), a mirror of it, Prometheus,
# and clients that pull all the time. Everything listens on 127.0.0.1 and ends with this script.
#   deploy/demo/run.sh [SECONDS]     how long it runs; without a number, until Ctrl-C
# It needs the .NET 10 SDK, and from Debian: docker-registry prometheus curl.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
for program in dotnet docker-registry prometheus curl; do
    command -v "$program" >/dev/null || { echo "$program is missing" >&2; exit 1; }
done

work=$(mktemp -d "${TMPDIR:-/tmp}/mirror-demo.XXXXXX")
pids=()
clean() {
    kill "${pids[@]}" 2>/dev/null || true
    wait "${pids[@]}" 2>/dev/null || true
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 0' INT TERM

# 1. The settings of all three.
cat >"$work/upstream.yml" <<YAML
version: 0.1
storage: {filesystem: {rootdirectory: $work/upstream}}
http: {addr: 127.0.0.1:5902}
YAML
cat >"$work/mirror.yml" <<YAML
version: 0.1
log: {level: warn, accesslog: {disabled: true}, audit: {path: $work/audit.log}}
storage: {filesystem: {rootdirectory: $work/mirror}}
http: {addr: 127.0.0.1:5900, debug: {addr: 127.0.0.1:5901, prometheus: {enabled: true}}}
proxy: {remoteurl: http://127.0.0.1:5902, tags_cache_ttl: 1m, max_size: 1GB}
hosted: {repositories: [local/**]}
YAML
cat >"$work/prometheus.yml" <<YAML
global: {scrape_interval: 5s}
rule_files: [$root/deploy/prometheus/rules.yml]
scrape_configs:
- {job_name: mirror, static_configs: [{targets: ["127.0.0.1:5901"]}]}
YAML

# 2. The upstream, with a few images of random layers.
docker-registry serve "$work/upstream.yml" >"$work/upstream.log" 2>&1 & pids+=($!)
until curl -sf http://127.0.0.1:5902/v2/ >/dev/null; do sleep 0.2; done
"$here/images.sh" http://127.0.0.1:5902

# 3. The mirror, and what watches it.
[ -f "$root/src/Mirror/bin/Release/net10.0/Mirror.dll" ] || dotnet build -c Release --nologo -v quiet "$root/src/Mirror"
dotnet "$root/src/Mirror/bin/Release/net10.0/Mirror.dll" serve "$work/mirror.yml" & pids+=($!)
until curl -sf http://127.0.0.1:5900/v2/ >/dev/null; do sleep 0.2; done
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" --web.listen-address=127.0.0.1:5903 \
    >"$work/prometheus.log" 2>&1 & pids+=($!)

cat <<TEXT

The pages:       http://127.0.0.1:5900/ui/
with everything: http://127.0.0.1:5901/ui/  (log in with $(cat "$work/mirror/mirror/admin-token"))
Prometheus:      http://127.0.0.1:5903/     (the dashboard of deploy/grafana/mirror.json reads it)
TEXT

# 4. The load. Some clients are slow, so that there is something to see.
"$here/load.sh" 127.0.0.1:5900 "${1:-}" & load=$!
pids+=("$load")
wait "$load"
