#!/usr/bin/env bash
# Runs a command beside a PostgreSQL server of its own, which is gone when the command ends: tests/postgresql.sh pytest
# The command finds the server's address, with its password, in SWEEP_TEST_POSTGRESQL. It listens on loopback only.
set -euo pipefail

programs=$(dirname "$(command -v initdb || printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -1)")
if [ ! -x "$programs/initdb" ]; then
    echo "tests/postgresql.sh: there is no PostgreSQL server here; install one: apt-get install postgresql" >&2
    exit 2
fi

folder=$(mktemp -d /tmp/postgresql.XXXXXX) # a short name: it holds a socket
umask 077
as_owner=()
if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to be run by root; its package brings a user
    chown postgres "$folder"
    as_owner=(runuser -u postgres --)
fi
cluster() { (cd "$folder" && "${as_owner[@]}" "$programs/$1" -D "$folder/cluster" "${@:2}"); }
trap 'cluster pg_ctl stop -s -m immediate 2>/dev/null || true; rm -rf "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
"${as_owner[@]}" tee "$folder/password" <<<"$password" >/dev/null
cluster initdb --username=sweep --pwfile="$folder/password" --auth=scram-sha-256 \
    --encoding=UTF8 --locale=C --no-sync >"$folder/log.initdb" || { cat "$folder/log.initdb" >&2; exit 2; }
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# Nothing here outlives the machine: commits need not wait for the disk.
options="-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories=$folder -c fsync=off"
cluster pg_ctl start -s -w -l "$folder/log" -o "$options" || { cat "$folder/log" >&2; exit 2; }

export SWEEP_TEST_POSTGRESQL="postgresql://sweep:$password@127.0.0.1:$port/postgres"
"$@"
