# shellcheck shell=bash disable=SC2154,SC2034 # variables go across the files of scripts/db
# Part of scripts/db: what is particular to MySQL and MariaDB.

flavour_of() {
  case $1 in
    mysql) echo mysql ;;
    mariadb*) echo mariadb ;;
  esac
}

# mysql_use KIND, with SERVER set (empty: the tree's): sets FLAVOUR, VERSION, SHARE (the directory
# of messages, character sets and SQL scripts) and the arrays DAEMON, CLIENT and TZINFO: commands
# without options that depend on the instance.
mysql_use() {
  local tree bin program
  FLAVOUR=$(flavour_of "$1")
  CLIENT=() TZINFO=()
  if [[ -n $SERVER ]]; then
    bin=$(dirname -- "$SERVER")
    SHARE=$(share_dir "$bin/..")
    DAEMON=("$SERVER" --no-defaults --basedir="$(dirname -- "$bin")")
    for program in "$bin/../bin/$FLAVOUR" "$bin/../bin/mysql" "$(command -v "$FLAVOUR" mysql | head -n 1)"; do
      [[ ! -x $program ]] || { CLIENT=("$program") && break; }
    done
    [[ ${#CLIENT[@]} -gt 0 ]] || die "no client (mysql or mariadb) next to $SERVER or in PATH"
    for program in "$bin"/../bin/{"$FLAVOUR-tzinfo-to-sql",mysql_tzinfo_to_sql}; do
      [[ ! -x $program ]] || TZINFO=("$program" /usr/share/zoneinfo)
    done
  else
    tree=$(tree_of "$1")
    [[ -e $tree/complete ]] || die "$1 is not installed (scripts/db install $1)"
    tree_server "$tree" "$1"
    # The paths that were compiled in are those of an installed package, not of the tree.
    SHARE=$(share_dir "$tree/usr")
    DAEMON=("${COMMAND[@]}" --no-defaults --basedir="$tree/usr"
      --plugin-dir="$tree/usr/lib/mysql/plugin"
      --lc-messages-dir="$SHARE" --character-sets-dir="$SHARE/charsets")
    tree_command "$tree" "bin/$FLAVOUR"
    CLIENT=("${COMMAND[@]}")
    program=mysql_tzinfo_to_sql
    [[ $FLAVOUR == mysql ]] || program=mariadb-tzinfo-to-sql
    tree_command "$tree" "bin/$program"
    TZINFO=("${COMMAND[@]}" "$tree/usr/share/zoneinfo")
  fi
  # Both servers refuse to run as root unless they are told to.
  [[ $EUID -ne 0 ]] || DAEMON+=(--user=root)
  VERSION=$("${DAEMON[@]}" --version 2>/dev/null | sed -n 's/.* Ver \([0-9.]*\).*/\1/p')
  [[ -n $VERSION ]] || die "cannot run the server of $1: ${DAEMON[0]}"
}

# Its place differs: MySQL, MariaDB before and after 11, packages and tarballs.
share_dir() {
  local share
  for share in "$1"/share/{mysql,mariadb,}; do
    [[ ! -d $share/charsets ]] || break
  done
  printf %s "${share%/}"
}

# sql DIR [ARG…]: the client on the admin account over the socket, SQL from stdin.
sql() {
  local in=$1
  shift
  MYSQL_PWD='' "${CLIENT[@]}" --no-defaults --user=root --host=localhost --socket="$(socket_of "$in")" --batch --skip-column-names "$@"
}
answers() { sql "$1" --connect-timeout=2 -e 'SELECT 1' </dev/null; }

# ---------------------------------------------------------------- templates
# A data directory costs several seconds to initialise: done once for each kind and version, then
# copied. Templates have no accounts but root@localhost and no binlog.

mysql_prepare() {
  local new
  template=$servers/templates/$KIND-$VERSION
  [[ ! -e $template/complete ]] || return 0
  lock 8 "template-$KIND"
  if [[ -e $template/complete ]]; then
    unlock 8
    return 0
  fi
  new=$template.new
  # An interrupted attempt may have left a server behind.
  halt "$new" KILL
  rm -rf -- "$new" "$template"
  mkdir -p -- "$new/tmp"
  say "initialising a data directory for $KIND $VERSION"
  "${FLAVOUR}_initialise" "$new" >>"$new/log" 2>&1 </dev/null || {
    tail -n 25 -- "$new/log" >&2
    die "could not initialise a data directory; the log is $new/log"
  }
  rm -f -- "$(socket_of "$new").lock"
  launch "$new" "${DAEMON[@]}" --datadir="$new/data" --tmpdir="$new/tmp" --socket="$(socket_of "$new")" \
    --pid-file="$new/data/mysqld.pid" --secure-file-priv="$new/tmp" --skip-networking --skip-log-bin
  await "$new" answers "$new"
  # Named time zones, so that the application's sessions can have them.
  if [[ ${#TZINFO[@]} -gt 0 ]]; then
    "${TZINFO[@]}" 2>>"$new/log" | sql "$new" mysql >>"$new/log" 2>&1 || say "time zones not loaded (see $new/log)"
  fi
  halt "$new" TERM
  # Every server needs a UUID of its own; it makes one when the file is missing.
  rm -f -- "$new/data/auto.cnf"
  touch -- "$new/complete"
  mv -- "$new" "$template"
  unlock 8
}

mysql_initialise() {
  "${DAEMON[@]}" --initialize-insecure --datadir="$1/data" --tmpdir="$1/tmp" --secure-file-priv="$1/tmp"
}

# What mariadb-install-db does with the option for a root account without unix_socket; the script
# itself can only run installed programs.
mariadb_initialise() {
  local script
  mkdir -- "$1/data"
  {
    # One statement on a line: --bootstrap knows no better.
    printf '%s\n' 'CREATE DATABASE mysql;' 'USE mysql;' 'SET @auth_root_socket = NULL;'
    for script in system_tables performance_tables system_tables_data; do
      cat -- "$SHARE"/m{ariadb,ysql}_$script.sql 2>/dev/null || true # the names changed
    done
    cat -- "$SHARE/maria_add_gis_sp_bootstrap.sql"
    cat -- "$SHARE"/m{ariadb,ysql}_sys_schema.sql 2>/dev/null || true
    # Root accounts for this host's name and for ::1, which we never use.
    echo "DELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost';"
    echo "DELETE FROM mysql.proxies_priv WHERE User = 'root' AND Host <> 'localhost';"
  } >"$1/bootstrap.sql"
  grep -q 'TABLE.* global_priv' "$1/bootstrap.sql" || { echo "no SQL scripts for the system tables in $SHARE" && return 1; }
  "${DAEMON[@]}" --bootstrap --datadir="$1/data" --tmpdir="$1/tmp" --skip-log-bin --max-allowed-packet=8M <"$1/bootstrap.sql" &&
    rm -- "$1/bootstrap.sql"
}

# ---------------------------------------------------------------- instances

# Sets ARGV: the whole command of the instance in $dir.
mysql_argv() {
  local data=$dir/data
  ARGV=("${DAEMON[@]}"
    --datadir="$data" --tmpdir="$dir/tmp" --secure-file-priv="$dir/files"
    --socket="$(socket_of "$dir")" --pid-file="$data/mysqld.pid"
    --port="$PORT" --bind-address=127.0.0.1 --skip-name-resolve
    --ssl-ca="$servers/tls/ca.pem" --ssl-cert="$servers/tls/server-cert.pem" --ssl-key="$servers/tls/server-key.pem"
    --max-connections=500 --innodb-buffer-pool-size=512M
    # As durable as in production: without it, neither speed nor crashes would be those of users.
    --sync-binlog=1 --innodb-flush-log-at-trx-commit=1
    # The port is unique among the instances, so it serves as their id, too.
    --server-id="$PORT" --log-bin="$data/binlog" --binlog-expire-logs-seconds=86400)
  if [[ $FLAVOUR == mysql ]]; then
    # Row format, sql_mode, performance_schema with metadata locks: MySQL's defaults are right.
    ARGV+=(--mysqlx=OFF --gtid-mode=ON --enforce-gtid-consistency=ON)
  else
    # MariaDB's defaults are MIXED, and latin1 in 10.11.
    ARGV+=(--binlog-format=ROW --character-set-server=utf8mb4)
  fi
  local option
  while IFS= read -r option; do ARGV+=("$option"); done <"$dir/options"
}

# Start the instance in $dir (meta read, kind in use) unless it runs, and finish making it.
mysql_start() {
  local socket
  if ! alive "$dir"; then
    halt "$dir" KILL # it may have been killed a moment ago
    certificates_make
    if [[ ! -e $dir/data ]]; then
      mysql_prepare
      rm -rf -- "$dir/data.new"
      cp -a --reflink=auto -- "$template/data" "$dir/data.new"
      mv -- "$dir/data.new" "$dir/data"
    fi
    mkdir -p -- "$dir/tmp"
    [[ -d $dir/files ]] || mkdir -m 700 -- "$dir/files"
    socket=$(socket_of "$dir")
    # After a kill -9 the lock file names a pid that may belong to another process by now: the
    # server would refuse to start. That ours is dead we know.
    rm -f -- "$socket" "$socket.lock"
    ! port_answers "$PORT" || die "port $PORT is in use by something else"
    mysql_argv
    launch "$dir" "${ARGV[@]}"
  fi
  # Also one that runs may lack the rest: its start was interrupted.
  await "$dir" answers "$dir"
  if [[ ! -e $dir/provisioned ]]; then
    provision_sql | sql "$dir" || die "could not create the accounts"
    touch -- "$dir/provisioned"
  fi
}

# Not into the binlog: it is to begin with what the test does.
provision_sql() {
  local plugin=caching_sha2_password grants
  grants=$project/docs/grants/$FLAVOUR.sql
  [[ $FLAVOUR == mysql ]] || plugin=mysql_native_password
  cat <<SQL
SET SESSION sql_log_bin = 0;
CREATE DATABASE IF NOT EXISTS shop CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS 'root'@'127.0.0.1' IDENTIFIED WITH $plugin;
GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;
CREATE USER IF NOT EXISTS 'app'@'%' IDENTIFIED BY 'app-secret';
GRANT ALL ON shop.* TO 'app'@'%';
CREATE USER IF NOT EXISTS 'osc'@'%' IDENTIFIED BY 'osc-secret';
SQL
  # Exactly what the documentation tells users to grant.
  cat -- "$grants"
}

mysql_env() {
  local address=127.0.0.1:$PORT
  cat <<ENV
NAME=$(basename -- "$dir")
KIND=$KIND
VERSION=$VERSION
OSC_ADMIN_URL=mysql://root@$address/shop
OSC_URL=mysql://osc:osc-secret@$address/shop
APP_URL=mysql://app:app-secret@$address/shop
OSC_CA=$servers/tls/ca.pem
PORT=$PORT
PID=$(<"$dir/pid")
SERVER_ID=$PORT
DATADIR=$dir/data
BINLOG_BASENAME=$dir/data/binlog
SOCKET=$(socket_of "$dir")
LOG=$dir/log
ENV
}

mysql_client() {
  CLIENT+=(--no-defaults)
  # The client of MariaDB 11 else warns that it verifies nothing without a password.
  [[ $FLAVOUR == mysql ]] || CLIENT+=(--skip-ssl-verify-server-cert)
  # Over TCP, so that the --ssl-… options of the client mean something.
  exec "${CLIENT[@]}" --user=root --host=127.0.0.1 --port="$PORT" --protocol=TCP "$@"
}

mysql_run() {
  [[ -z $SERVER ]] || die "run: only for instances of an installed server"
  tree_command "$(tree_of "$KIND")" "bin/$1"
  shift
  exec "${COMMAND[@]}" "$@"
}
