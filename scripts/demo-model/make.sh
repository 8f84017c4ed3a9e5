#!/usr/bin/env bash
# Trains the demo model, writes src/assets/demo.gguf, builds, measures it and writes docs/DEMO-MODEL.md:
# make.sh [MINUTES of processor time, 50 by default]. Needs Bun, Python 3.10+ and, in it,
# `pip install torch numpy regex gguf`. PYTHON names another interpreter, DEMO_MODEL_DIR a folder to keep.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${DEMO_MODEL_DIR:-$(mktemp -d)}
python=${PYTHON:-python3}
"$python" "$here/train.py" "$work" --minutes "${1:-50}" --compile
"$python" "$here/export.py" "$work" "$root/src/assets/demo.gguf"
cp "$work/config.json" "$here/trained.json"
cd "$root"
bun run build
short=0
bun scripts/demo-model/evaluate.ts --card || short=$?
bun fmt docs/DEMO-MODEL.md
exit $short
