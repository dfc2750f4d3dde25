#!/bin/sh
# Every figure that docs/benchmarks.md explains, each from several processes in turns.
#   benchmarks/run.sh [BUILD_FOLDER]
# QUICK=1 takes less than three minutes: fewer processes, rounds and sites.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build/bench}
bin=$build/bin
work=$build/bench-work
for program in transport_bench aggregation_bench federation_bench fedlearn; do
  if [ ! -x "$bin/$program" ]; then
    echo "$bin/$program is missing; build it with: make bench" >&2
    exit 1
  fi
done
if [ -n "${QUICK:-}" ]; then
  processes=1
  table="--megabytes 1,25,100 --sites 8 --runs 1"
  many="--megabytes 25 --sites 8,100 --runs 1 --rounds 4"
  rounds=200
else
  processes=5
  table="--runs 3"
  many=
  rounds=1000
fi

echo "== $(nproc) cores, load $(cut -d ' ' -f 1 /proc/loadavg); a figure under load says little =="
i=0
while [ "$i" -lt "$processes" ]; do
  i=$((i + 1))
  echo
  echo "== process $i of $processes: one transfer against a plain SSL_write and SSL_read loop =="
  "$bin/transport_bench" --benchmark_filter=AgainstPlainLoop 2>/dev/null
  echo
  echo "== process $i of $processes: adding an update against a triad =="
  "$bin/aggregation_bench" --benchmark_filter='StreamTriad|AxpyF32|Accumulate/f32$' \
    --benchmark_enable_random_interleaving=true --benchmark_repetitions=3 --benchmark_report_aggregates_only=true \
    2>/dev/null | grep -v _cv
done

echo
echo "== whole federations =="
# shellcheck disable=SC2086 # words on purpose
"$bin/federation_bench" --work "$work" table $table
if [ -n "$many" ]; then
  echo
  # shellcheck disable=SC2086
  "$bin/federation_bench" --work "$work" table $many
fi

echo
echo "== a server that waits =="
"$bin/federation_bench" --work "$work" idle --fedlearn "$bin/fedlearn"

echo
echo "== memory over many rounds =="
"$bin/federation_bench" --work "$work" rss_slope --rounds "$rounds"
rm -rf "$work/run" "$work/idle"
