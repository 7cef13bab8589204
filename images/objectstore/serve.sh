#!/bin/sh
# Serve DATA_DIR as an S3 store on PORT. Root credentials: ROOT_ACCESS_KEY and ROOT_SECRET_KEY. Further arguments go to versitygw's posix backend.
set -eu
: "${ROOT_ACCESS_KEY:?is not set}" "${ROOT_SECRET_KEY:?is not set}"
data=${DATA_DIR:-/data}
mkdir -p "$data/objects" "$data/meta" # the gateway wants both to exist
exec versitygw --port ":${PORT:-9000}" --quiet posix --sidecar "$data/meta" "$@" "$data/objects"
