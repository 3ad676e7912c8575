#!/usr/bin/env bash
# Pushes a few images with random layers to a registry: images.sh http://HOST:PORT. Needs curl and sha256sum.
set -euo pipefail
registry=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Containers start together.
until curl -sf "$registry/v2/" >/dev/null; do sleep 0.5; done

push_blob() { # repository file -> digest
    local digest location
    digest=sha256:$(sha256sum "$2" | cut -d' ' -f1)
    location=$(curl -sfi -X POST "$registry/v2/$1/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
    [[ $location == http* ]] || location=$registry$location
    [[ $location == *\?* ]] && location+="&" || location+="?"
    curl -sf -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$2" "${location}digest=$digest"
    echo "$digest"
}

descriptor() { # type file digest
    printf '{"mediaType":"%s","digest":"%s","size":%s}' "$1" "$3" "$(stat -c %s "$2")"
}

head -c 20000000 /dev/urandom >"$work/base"
for image in library/web library/database team/api team/worker; do
    for tag in 1.0 1.1; do
        head -c $((RANDOM * 400 + 2000000)) /dev/urandom >"$work/layer"
        cat >"$work/config" <<JSON
{"architecture":"amd64","os":"linux","config":{"Labels":{"org.opencontainers.image.title":"$image"}},"rootfs":{"type":"layers","diff_ids":[]},
"history":[{"created":"2026-01-01T00:00:00Z","created_by":"COPY base /"},{"created":"2026-01-02T00:00:00Z","created_by":"COPY $image /app"}]}
JSON
        config=$(descriptor application/vnd.oci.image.config.v1+json "$work/config" "$(push_blob "$image" "$work/config")")
        base=$(descriptor application/vnd.oci.image.layer.v1.tar "$work/base" "$(push_blob "$image" "$work/base")")
        layer=$(descriptor application/vnd.oci.image.layer.v1.tar "$work/layer" "$(push_blob "$image" "$work/layer")")
        printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s,%s]}' \
            "$config" "$base" "$layer" >"$work/manifest"
        curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$work/manifest" \
            "$registry/v2/$image/manifests/$tag"
        echo "pushed $image:$tag"
    done
done
