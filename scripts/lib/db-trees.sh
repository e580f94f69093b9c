# shellcheck shell=bash disable=SC2154,SC2034 # variables go across the files of scripts/db
# Part of scripts/db: gets the servers' programs.
#
# Each kind has a tree: the packages of one Debian suite, unpacked. Nothing in it is configured,
# chrooted into or mounted: programs run by the tree's own dynamic loader with the tree's own
# libraries, so they need neither root nor a certain distribution underneath.

kind_suite() {
  case $1 in
    mysql) echo sid ;; # the only suite of Debian that has MySQL
    mariadb) echo bookworm ;;
    mariadb118) echo trixie ;;
    postgres) echo sid ;; # the newest
    postgres15) echo bookworm ;;
  esac
}
tree_of() { printf %s "$servers/trees/$(kind_suite "$1")-$1"; }

as_root() {
  if [[ $EUID -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "needs root or sudo: $*"
  fi
}

need_tools() {
  local missing=()
  command -v debootstrap >/dev/null || missing+=(debootstrap)
  command -v openssl >/dev/null || missing+=(openssl)
  # Without the keyring debootstrap could not check what it downloads (it is not there on Ubuntu).
  [[ -n ${OSC_DEBIAN_KEYRING:-} || -e /usr/share/keyrings/debian-archive-keyring.gpg ]] ||
    missing+=(debian-archive-keyring)
  [[ ${#missing[@]} -gt 0 ]] || return 0
  command -v apt-get >/dev/null ||
    die "needs ${missing[*]}, and here is no apt-get; or name a server by OSC_MYSQLD or OSC_MARIADBD"
  say "installing ${missing[*]}"
  as_root apt-get update -q >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
}

# tree_download SUITE DIR PACKAGES: downloads them with all that they depend on, signatures checked.
tree_download() {
  local options=(--variant=minbase --download-only --force-check-gpg --include="$3") script
  [[ -z ${OSC_DEBIAN_KEYRING:-} ]] || options+=(--keyring="$OSC_DEBIAN_KEYRING")
  # An old debootstrap does not know the name of a newer suite; for a download all are alike.
  script=/usr/share/debootstrap/scripts/$1
  [[ -e $script ]] || script=/usr/share/debootstrap/scripts/sid
  debootstrap "${options[@]}" "$1" "$2" "${OSC_DEBIAN_MIRROR:-}" "$script" </dev/null
}

# The names of some packages carry a version in some releases; find them in the index that
# a first attempt has downloaded, the newest last.
newest_package() {
  sed -n "s/^Package: \\($2\\(-[0-9.]*\\)\\?\\)\$/\\1/p" "$1"/var/lib/apt/lists/*_Packages | sort -V | tail -n 1
}

tree_install() {
  local kind=$1 tree suite new log dir deb
  tree=$(tree_of "$kind") suite=$(kind_suite "$kind")
  [[ ! -e $tree/complete ]] || return 0
  lock 8 "tree-$kind"
  if [[ -e $tree/complete ]]; then # another one was faster
    unlock 8
    return 0
  fi
  # In such a path debootstrap silently loses packages, and the loader splits its list of paths.
  [[ $tree != *[[:space:]:]* ]] || die "the path of the servers must have no spaces and colons; set OSC_SERVERS_DIR"
  need_tools
  new=$tree.new log=$tree.log
  rm -rf -- "$new" "$tree"
  mkdir -p -- "$new"
  say "downloading $kind from Debian $suite (log: $log)"
  case $kind in
    mysql)
      tree_download "$suite" "$new" mysql-server-core,mysql-client-core >"$log" 2>&1 ||
        tree_download "$suite" "$new" "$(newest_package "$new" mysql-server-core),$(newest_package "$new" mysql-client-core)" >>"$log" 2>&1
      ;;
    postgres)
      # Which version the suite has, its index tells; a first download of nothing fetches it.
      tree_download "$suite" "$new" base-files >"$log" 2>&1 &&
        tree_download "$suite" "$new" "$(newest_package "$new" postgresql)" >>"$log" 2>&1
      ;;
    postgres15) tree_download "$suite" "$new" postgresql-15 >"$log" 2>&1 ;;
    # Not the core packages alone: plugins, mariadb-binlog and the like are in these.
    *) tree_download "$suite" "$new" mariadb-server,mariadb-client >"$log" 2>&1 ;;
  esac || {
    tail -n 15 -- "$log" >&2
    die "debootstrap failed (OSC_DEBIAN_MIRROR and OSC_DEBIAN_KEYRING change where it looks)"
  }

  say "unpacking $kind"
  # Where a suite has /bin and /lib as links into /usr, the links must be there first.
  for dir in bin sbin lib lib64; do
    mkdir -p -- "$new/usr/$dir"
    ln -s "usr/$dir" "$new/$dir"
  done
  for deb in "$new"/var/cache/apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" |
      tar -x -C "$new" --keep-directory-symlink --no-same-owner --no-same-permissions \
        --exclude='./usr/share/doc' --exclude='./usr/share/man' --exclude='./usr/share/locale'
  done
  rm -rf -- "$new"/var/cache/apt "$new"/var/lib/apt "$new"/debootstrap
  case $kind in
    postgres*) postgres_wrap "$new" && COMMAND=("$(postgres_bin "$new")/postgres") ;;
    *) tree_server "$new" "$kind" && COMMAND+=(--no-defaults) ;;
  esac
  "${COMMAND[@]}" --version >>"$log" 2>&1 || {
    tail -n 5 -- "$log" >&2
    die "the server of $new does not run here"
  }
  touch -- "$new/complete"
  mv -- "$new" "$tree"
  rm -f -- "$log"
  unlock 8
}

tree_server() {
  case $2 in
    mysql) tree_command "$1" sbin/mysqld ;;
    *) tree_command "$1" sbin/mariadbd ;;
  esac
}

# tree_command TREE PROGRAM: sets COMMAND to what runs this program of the tree.
tree_command() {
  local loader libs
  for loader in "$1"/usr/lib/*/ld-linux*.so.*; do break; done
  [[ -e $loader ]] || die "no dynamic loader in $1"
  libs=$(dirname -- "$loader")
  COMMAND=("$loader" --inhibit-cache --library-path "$libs:$1/usr/lib" "$1/usr/$2")
}
