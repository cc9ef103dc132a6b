#!/bin/bash
# Makes the replica set's keyfile and the two passwords, once, each readable by whoever needs it alone.
set -euo pipefail
umask 077

# $1: the file, $2: its random bytes, $3: its owner
make_once() {
    if [ ! -s "$1" ]; then
        head -c "$2" /dev/urandom | base64 -w0 | tr '+/' 'Az' | tr -d '=' > "$1.new"
        chown "$3" "$1.new"
        chmod 0400 "$1.new"
        mv "$1.new" "$1"
    fi
}

# 999 is mongodb in its image, 10001 is obl in the logger's; a keyfile has at most 1024 characters
make_once /mongo-secrets/keyfile 756 999:999
make_once /mongo-secrets/root_password 24 999:999
make_once /logger-secrets/mongodb_password 24 10001:10001
