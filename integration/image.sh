#!/bin/sh
# Carries the Dockerfile out without Docker: lays the image's tree out in a
# temporary folder, for both platforms, and runs it as its user, with its CMD.
# All that could not be checked is told as NOT CHECKED.
set -eu
cd "$(dirname "$0")/.."
integration/need make curl
[ "$(id -u)" = 0 ] || echo "This is not root: the image's user, its root folder and its ports cannot be checked." >&2
KAMAL_PROXY_PEERS=1 exec go test -count=1 -v -run 'Docker|Image|Example' ./integration
