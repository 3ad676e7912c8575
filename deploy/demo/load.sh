#!/usr/bin/env bash
# Clients that pull from a mirror all the time: load.sh HOST:PORT [SECONDS]. Needs curl.
set -euo pipefail
mirror=http://$1
end=${2:+$((SECONDS + $2))}
images=(library/web:1.0 library/web:1.1 library/database:1.0 library/database:1.1 team/api:1.0 team/api:1.1 team/worker:1.0 team/worker:1.1)

pull() { # image rate
    local name=${1%:*} tag=${1#*:} digest manifest
    manifest=$(curl -s -A "demo-client/1.$((RANDOM % 3))" -H 'Accept: application/vnd.oci.image.manifest.v1+json' "$mirror/v2/$name/manifests/$tag")
    for digest in $(grep -o 'sha256:[0-9a-f]\{64\}' <<<"$manifest"); do
        curl -s -A "demo-client/1.0" --limit-rate "$2" -o /dev/null "$mirror/v2/$name/blobs/$digest"
    done
}

pulls=0
while [ -z "$end" ] || [ "$SECONDS" -lt "$end" ]; do
    pull "${images[RANDOM % ${#images[@]}]}" "$((RANDOM % 20 + 5))M" &
    pulls=$((pulls + 1))
    # At most six at a time.
    while [ "$(jobs -rp | wc -l)" -ge 6 ]; do wait -n || true; done
    sleep 0.5
done
wait
echo "$pulls images were pulled"
