# shellcheck shell=bash disable=SC2154,SC2034 # variables go across the files of scripts/db
# Part of scripts/db: what is particular to PostgreSQL.

# The directory of the programs in a tree.
postgres_bin() {
  local bin
  for bin in "$1"/usr/lib/postgresql/*/bin; do break; done
  printf %s "$bin"
}

# initdb looks for `postgres` beside itself and runs it by that name, which the tree's programs can't
# be: a script of that name does it.
postgres_wrap() {
  local bin
  bin=$(postgres_bin "$1")
  mv -- "$bin/postgres" "$bin/postgres.bin"
  cat >"$bin/postgres" <<'WRAP'
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
for loader in "$here"/../../../*/ld-linux*.so.*; do break; done
exec "$loader" --inhibit-cache --library-path "${loader%/*}" "$here/postgres.bin" "$@"
WRAP
  chmod +x -- "$bin/postgres"
}

# postgres_use KIND: sets VERSION, TREE, and AS: what runs a command as the user of the server. PostgreSQL
# refuses to run as root, and cannot be talked out of it.
postgres_use() {
  FLAVOUR=postgres
  TREE=$(tree_of "$1")
  [[ -e $TREE/complete ]] || die "$1 is not installed (scripts/db install $1)"
  AS=()
  [[ $EUID -ne 0 ]] || AS=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
  postgres_command postgres.bin
  DAEMON=("${COMMAND[@]}")
  VERSION=$("${DAEMON[@]}" --version 2>/dev/null | sed -n 's/.*(PostgreSQL) \([0-9.]*\).*/\1/p')
  [[ -n $VERSION ]] || die "cannot run the server of $1: ${DAEMON[0]}"
}

# postgres_command PROGRAM: sets COMMAND to what runs it.
postgres_command() {
  local bin
  bin=$(postgres_bin "$TREE")
  [[ -e $bin/$1 ]] || die "no program '$1' in $bin"
  tree_command "$TREE" "${bin#"$TREE/usr/"}/$1"
}

# No templates: a copied data directory would have the other's system identifier.
postgres_prepare() { :; }

postgres_own() { [[ $EUID -ne 0 ]] || chown -R nobody:nogroup -- "$@"; }

# sql DIR [ARG…]: the client on the admin account over the socket, SQL from stdin.
postgres_sql() {
  local in=$1
  shift
  postgres_command psql
  "${COMMAND[@]}" --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 \
    --host="$(postgres_socket "$in")" --port="$PORT" --username=postgres "$@"
}
postgres_answers() { PGCONNECT_TIMEOUT=2 postgres_sql "$1" --dbname=postgres -c 'SELECT 1' </dev/null; }

# PostgreSQL wants a directory, and makes a name of the port in it.
postgres_socket() {
  local path=$1/run
  if [[ ${#path} -gt 75 ]]; then
    path=/tmp/osc-db-$EUID-run/$(printf %s "$1" | cksum | cut -d' ' -f1)
  fi
  printf %s "$path"
}

postgres_initialise() {
  local new=$dir/data.new
  say "initialising a data directory for $KIND $VERSION"
  rm -rf -- "$new"
  mkdir -m 700 -- "$new"
  postgres_own "$new"
  postgres_command initdb
  # Not memcmp's order: collations are a part of what is tested.
  "${AS[@]}" "${COMMAND[@]}" --pgdata="$new" --username=postgres --auth=trust --encoding=UTF8 --locale=C \
    --locale-provider=icu --icu-locale=und --no-sync >>"$dir/log" 2>&1 </dev/null || {
    tail -n 25 -- "$dir/log" >&2
    die "could not initialise a data directory; the log is $dir/log"
  }
  cat >"$new/pg_hba.conf" <<'HBA'
local   all  all                      trust
host    all  postgres  127.0.0.1/32   trust
host    all,replication  all  127.0.0.1/32   scram-sha-256
host    all,replication  all  ::1/128        scram-sha-256
HBA
  mv -- "$new" "$dir/data"
}

# Sets ARGV: the whole command of the instance in $dir.
postgres_argv() {
  local option
  ARGV=(${AS[@]+"${AS[@]}"} "${DAEMON[@]}" -D "$dir/data"
    -c port="$PORT" -c listen_addresses=127.0.0.1 -c unix_socket_directories="$(postgres_socket "$dir")"
    -c ssl=on -c ssl_ca_file="$dir/tls/ca.pem" -c ssl_cert_file="$dir/tls/server-cert.pem"
    -c ssl_key_file="$dir/tls/server-key.pem"
    -c wal_level=logical -c max_wal_senders=40 -c max_replication_slots=40 -c max_prepared_transactions=40
    -c max_connections=300 -c shared_buffers=256MB -c max_wal_size=4GB -c log_min_messages=warning)
  while IFS= read -r option; do ARGV+=("$option"); done <"$dir/options"
}

# Start the instance in $dir (meta read, kind in use) unless it runs, and finish making it.
postgres_start() {
  local socket
  if ! alive "$dir"; then
    halt "$dir" KILL # it may have been killed a moment ago
    certificates_make
    [[ -e $dir/data ]] || postgres_initialise
    socket=$(postgres_socket "$dir")
    mkdir -p -- "$socket" "$dir/tls"
    # The server insists that its key belongs to its user.
    cp -- "$servers"/tls/{ca,server-cert,server-key}.pem "$dir/tls/"
    chmod 600 -- "$dir/tls/server-key.pem"
    postgres_own "$socket" "$dir/tls"
    # After a kill -9 the lock files name a pid that may belong to another process by now.
    rm -f -- "$dir/data/postmaster.pid" "$socket"/.s.PGSQL.*
    ! port_answers "$PORT" || die "port $PORT is in use by something else"
    postgres_argv
    launch "$dir" "${ARGV[@]}"
  fi
  await "$dir" postgres_answers "$dir"
  if [[ ! -e $dir/provisioned ]]; then
    postgres_provision || die "could not create the accounts"
    touch -- "$dir/provisioned"
  fi
}

# Also when an earlier attempt was interrupted.
postgres_provision() {
  [[ -n $(postgres_sql "$dir" --dbname=postgres -c "SELECT 1 FROM pg_roles WHERE rolname = 'app'" </dev/null) ]] ||
    postgres_sql "$dir" --dbname=postgres -c "CREATE ROLE app LOGIN PASSWORD 'app-secret'" </dev/null
  [[ -n $(postgres_sql "$dir" --dbname=postgres -c "SELECT 1 FROM pg_roles WHERE rolname = 'osc'" </dev/null) ]] ||
    postgres_sql "$dir" --dbname=postgres -c "CREATE ROLE osc LOGIN PASSWORD 'osc-secret'" </dev/null
  [[ -n $(postgres_sql "$dir" --dbname=postgres -c "SELECT 1 FROM pg_database WHERE datname = 'shop'" </dev/null) ]] ||
    postgres_sql "$dir" --dbname=postgres -c 'CREATE DATABASE shop OWNER app' </dev/null
  # Exactly what the documentation tells users to grant.
  postgres_sql "$dir" --dbname=shop <"$project/docs/grants/postgres.sql"
}

postgres_env() {
  local address=127.0.0.1:$PORT
  cat <<ENV
NAME=$(basename -- "$dir")
KIND=$KIND
VERSION=$VERSION
OSC_ADMIN_URL=postgres://postgres@$address/shop
OSC_URL=postgres://osc:osc-secret@$address/shop
APP_URL=postgres://app:app-secret@$address/shop
OSC_CA=$servers/tls/ca.pem
PORT=$PORT
PID=$(<"$dir/pid")
DATADIR=$dir/data
SOCKET=$(postgres_socket "$dir")
LOG=$dir/log
ENV
}

postgres_client() {
  postgres_command psql
  [[ $# -gt 0 && $1 != -* ]] || set -- shop "$@"
  exec "${COMMAND[@]}" --no-psqlrc --host=127.0.0.1 --port="$PORT" --username=postgres --dbname="$@"
}

postgres_run() {
  postgres_command "$1"
  shift
  exec ${AS[@]+"${AS[@]}"} "${COMMAND[@]}" "$@"
}
