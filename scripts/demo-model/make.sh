#!/usr/bin/env bash
# Trains the demo model and writes src/assets/demo.gguf: make.sh [MINUTES]
# Needs Python 3.10+ with torch, numpy, regex and gguf (pip install torch numpy regex gguf).
# Afterwards `bun scripts/demo-model/evaluate.ts --card` measures it and writes the card.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=${DEMO_MODEL_DIR:-$(mktemp -d)}
python3 "$here/train.py" "$work" --minutes "${1:-60}"
python3 "$here/export.py" "$work" "$here/../../src/assets/demo.gguf"
cp "$work/config.json" "$here/trained.json"
