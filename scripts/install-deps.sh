#!/usr/bin/env bash
# Installs what a build of fed_learn needs, on Debian 12 or a later Debian or Ubuntu.
# Does nothing, quickly, when all of it is there. --with-checks adds what only the checks of CI use.
set -euo pipefail

build=(g++ cmake ninja-build pkg-config ca-certificates
       libboost-dev libssl-dev libexpected-dev libfmt-dev libspdlog-dev nlohmann-json3-dev
       libvalijson-dev libcli11-dev libeigen3-dev libxxhash-dev libsqlite3-dev
       libyaml-cpp-dev libzip-dev libprotozero-dev libgtest-dev libgmock-dev libbenchmark-dev
       librsvg2-bin fonts-dejavu-core python3 python3-venv python3-numpy)
checks=(ccache clang-14 libclang-rt-14-dev clang-format-14 clang-tidy-14 iproute2 curl)

packages=("${build[@]}")
if [ "${1:-}" = "--with-checks" ]; then packages+=("${checks[@]}"); fi

if ! command -v apt-get >/dev/null; then
  echo "fed_learn builds with Debian's packages, and apt-get is not here. Install these, then run this again:" >&2
  printf '  %s\n' "${packages[@]}" >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "Installing with apt: ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "These packages are missing, and neither root nor sudo is at hand. As root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
