#!/bin/sh
# The app of examples/fed_tcga_brca and FLamby's four published settings, over many seeds.
#   benchmarks/published_settings.sh [BUILD_FOLDER] [SEEDS] [FIRST_SEED]
# Columns: pooled test C-index (mean, population standard deviation, median, worst), then each region's own test.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build/release}
program=$build/bin/published_settings_bench
if [ ! -x "$program" ]; then
  echo "$program is missing; build it with: cmake -B $build -DFED_LEARN_BENCHMARKS=ON && cmake --build $build" >&2
  exit 1
fi
app=examples/fed_tcga_brca
exec "$program" "${2:-64}" "${3:-0}" c_index "$app" \
  "$app/published/fedavg" "$app/published/fedadam" "$app/published/fedyogi" "$app/published/fedadagrad"
