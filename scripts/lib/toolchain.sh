# shellcheck shell=bash
# Makes sure that the project can be built: a C compiler and a Rust that is new enough. Sourced.

rust_needed=1.88

version_at_least() { # HAVE NEED
  [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

need_packages() { # COMMAND PACKAGE…: installs the packages when the command is missing
  local command=$1
  shift
  command -v "$command" >/dev/null && return 0
  echo "installing $*" >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 update -qq >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

rust_version() {
  rustc --version 2>/dev/null | cut -d' ' -f2
}

need_toolchain() {
  need_packages cc gcc libc6-dev
  # shellcheck disable=SC1091
  [ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
  version_at_least "$(rust_version || echo 0)" "$rust_needed" 2>/dev/null && return 0
  # The distributions' own rustc is older than what the dependencies ask for; rustup is the way the
  # language's own documentation gives.
  need_packages curl curl ca-certificates
  echo "installing Rust by rustup" >&2
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal -c rustfmt -c clippy >&2
  # shellcheck disable=SC1091
  . "$HOME/.cargo/env"
}
