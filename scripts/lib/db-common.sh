# shellcheck shell=bash disable=SC2154,SC2034 # variables go across the files of scripts/db
# Part of scripts/db: messages, locks, instances, processes. Knows no kind of server.
# Only KEY=VALUE lines go to stdout, all messages to stderr.

say() { printf 'db: %s\n' "$*" >&2; }
die() {
  say "$@"
  exit 1
}

# lock FD NAME: wait for a lock; it ends with the process or by unlock. Always taken in the order
# 9 (an instance), 8 (trees, templates, certificates), 7 (ports), so that no two can deadlock.
# A server that we start must not inherit these descriptors, or it would hold the locks.
lock() {
  eval "exec $1>\"\$servers/locks/\$2\""
  flock "$1"
}
unlock() { eval "exec $1>&-"; }

# ---------------------------------------------------------------- instances
# An instance is a directory: data/, meta (kind, port, …), options (one per line), log, pid,
# sock, tmp/, files/ (the only place where the server may read or write files for SQL).

check_name() { [[ $1 =~ ^[A-Za-z0-9][A-Za-z0-9_.-]{0,60}$ ]] || die "not a name for an instance: '$1'"; }
instance_lock() {
  check_name "$1"
  lock 9 "instance-$1"
}
instance_names() {
  local meta
  for meta in "$servers"/instances/*/meta; do
    [[ ! -e $meta ]] || basename -- "$(dirname -- "$meta")"
  done
}
instance_open() {
  [[ -n $1 ]] || die "which instance?"
  check_name "$1"
  dir=$servers/instances/$1
  [[ -e $dir/meta ]] || die "no instance '$1' (scripts/db list)"
  read_meta
  use_kind "$KIND"
}
write_meta() {
  printf '%s=%q\n' KIND "$KIND" VERSION "$VERSION" PORT "$PORT" SERVER "$SERVER" >"$dir/meta.new"
  mv -- "$dir/meta.new" "$dir/meta"
}
read_meta() {
  KIND='' VERSION='' PORT='' SERVER=''
  # shellcheck source=/dev/null
  . "$dir/meta"
}
write_options() { printf '%s\n' "$@" | sed '/^$/d' >"$dir/options"; }
same_options() { cmp -s <(printf '%s\n' "$@" | sed '/^$/d') "$dir/options"; }

# A unix socket's path has at most 107 bytes: in a deep directory it goes to a short one.
socket_of() {
  local path=$1/sock short
  if [[ ${#path} -gt 95 ]]; then # mysqld also makes sock.lock
    short=/tmp/osc-db-$EUID
    [[ -d $short ]] || mkdir -m 700 -- "$short"
    [[ -O $short && ! -L $short ]] || die "$short belongs to somebody else"
    path=$short/$(printf %s "$1" | cksum | cut -d' ' -f1).sock
  fi
  printf %s "$path"
}

# ---------------------------------------------------------------- processes

# life DIR: is our server with the recorded pid running, dying or gone? Killed, it stays for a
# while without a command line, its threads still holding the files and the port. At the end it
# may remain as a zombie (nobody reaps in some containers), or a stranger gets its number.
life() {
  local pid args state
  pid=$(cat -- "$1/pid" 2>/dev/null) || true
  [[ -n $pid ]] || { echo gone && return; }
  args=$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline") || { echo gone && return; }
  if grep -qxF -e "--datadir=$1/data" -e "$1/data" <<<"$args"; then
    echo running
  elif [[ -n $args ]]; then
    echo gone
  else
    state=$(sed -n 's/^State:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null) || true
    case $state in
      R* | D*) echo dying ;;
      Z*) if [[ $(compgen -G "/proc/$pid/task/*" | wc -l) -gt 1 ]]; then echo dying; else echo gone; fi ;;
      *) echo gone ;;
    esac
  fi
}
alive() { [[ $(life "$1") == running ]]; }

# launch DIR COMMAND…: run a server in the background, its own session, nothing of ours kept open.
launch() {
  local in=$1
  shift
  ulimit -n "$(ulimit -H -n)" 2>/dev/null || true
  setsid "$@" </dev/null >>"$in/log" 2>&1 7>&- 8>&- 9>&- &
  printf '%s\n' "$!" >"$in/pid"
}

# await DIR PROBE…: wait until the probe succeeds; fail when the server has died.
await() {
  local in=$1 deadline=$((SECONDS + ${OSC_DB_WAIT:-300}))
  shift
  until "$@" >/dev/null 2>&1; do
    # The second look: at the first the new process may not be the server's program yet.
    if ! alive "$in" && ! { sleep 0.2 && alive "$in"; }; then
      tail -n 25 -- "$in/log" >&2
      die "the server did not start; its log is $in/log"
    fi
    [[ $SECONDS -lt $deadline ]] || die "the server does not answer after ${OSC_DB_WAIT:-300} s; its log is $in/log"
    sleep 0.05
  done
}

# children DIR: processes of the server that outlive a killed one for a moment (PostgreSQL's work in their data directory).
children() {
  local cwd
  for cwd in /proc/[0-9]*/cwd; do
    [[ $(readlink -- "$cwd" 2>/dev/null) != "$1/data" ]] || cut -d/ -f3 <<<"$cwd"
  done
}

# halt DIR TERM|INT|KILL: stop and wait until it is gone; also if it is dying already.
halt() {
  local in=$1 how=$2 pid child deadline=$((SECONDS + ${OSC_DB_WAIT:-300}))
  if alive "$in"; then
    pid=$(<"$in/pid")
    kill "-$how" "$pid" 2>/dev/null || true
    # A test may have stopped the process by SIGSTOP: it would never see the TERM.
    kill -CONT "$pid" 2>/dev/null || true
  fi
  while [[ $(life "$in") != gone ]]; do
    [[ $SECONDS -lt $deadline ]] || die "the server does not stop; its log is $in/log (stop --kill?)"
    sleep 0.05
  done
  # As when the machine fails: nothing of a killed server writes any more.
  for child in $(children "$in"); do
    kill -KILL "$child" 2>/dev/null || true
    while [[ -n $(readlink -- "/proc/$child/cwd" 2>/dev/null) ]]; do sleep 0.05; done
  done
  rm -f -- "$in/pid"
}

# Ports lie below those that the kernel gives to outgoing connections (32768 and up), and start at
# a place that depends on the directory, so that two checkouts seldom meet. Stopped instances
# keep theirs: a restart gets the same one. Call it under the lock on ports.
free_port() {
  local port taken base
  base=$((15000 + $(printf %s "$servers" | cksum | cut -d' ' -f1) % 150 * 100))
  taken=$(cat -- "$servers"/instances/*/meta 2>/dev/null | sed -n 's/^PORT=//p')
  for ((port = base; port < base + 2000; port++)); do
    if ! grep -qx "$port" <<<"$taken" && ! port_answers "$port"; then
      printf %s "$port"
      return
    fi
  done
  die "no free port from $base on"
}
port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# ---------------------------------------------------------------- certificates
# One CA for all instances, and one certificate that names the addresses which clients use.
# (The one that MySQL makes for itself has no such names, so a client could not verify it fully.)

certificates_make() {
  local tls=$servers/tls new=$servers/tls.new
  [[ ! -e $tls ]] || return 0
  lock 8 tls
  if [[ ! -e $tls ]]; then
    rm -rf -- "$new"
    mkdir -m 700 -- "$new"
    {
      openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -sha256 -subj '/CN=osc test CA' \
        -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$new/ca-key.pem" -out "$new/ca.pem"
      openssl req -newkey rsa:2048 -nodes -sha256 -subj '/CN=localhost' \
        -keyout "$new/server-key.pem" -out "$new/server.csr"
      printf '%s\n' 'basicConstraints=CA:FALSE' 'keyUsage=critical,digitalSignature,keyEncipherment' \
        'extendedKeyUsage=serverAuth' 'subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost' >"$new/extensions"
      openssl x509 -req -in "$new/server.csr" -CA "$new/ca.pem" -CAkey "$new/ca-key.pem" -CAcreateserial \
        -days 3650 -sha256 -extfile "$new/extensions" -out "$new/server-cert.pem"
    } >"$new/log" 2>&1 || {
      cat -- "$new/log" >&2
      die "openssl could not make the certificates"
    }
    mv -- "$new" "$tls"
  fi
  unlock 8
}
