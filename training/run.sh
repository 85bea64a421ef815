#!/usr/bin/env bash
# Runs the recipe on the GPU machine: unpack the synthesizers, speak, train meanwhile, evaluate.
#   training/run.sh INPUTS WORK MINUTES [train.py arguments]
# INPUTS holds deb/ (synthesizer packages), train.txt.xz, heldout.txt, tokenizer.model, and model.pt when a run is to be
# continued (--resume WORK/resume.pt). Progress: WORK/*.log; results: WORK/out. WORK/done appears at the end.
set -uo pipefail
inputs=$1 work=$2 minutes=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$work/out"
cp -r "$here" "$work/training"
cp "$inputs"/heldout.txt "$inputs"/tokenizer.model "$work"
[ -f "$inputs/model.pt" ] && cp "$inputs/model.pt" "$work/resume.pt"
xz -dc "$inputs/train.txt.xz" >"$work/train.txt"
"$here/speech/unpack.sh" "$inputs/deb" "$work/tts"
export TTS_PREFIX=$work/tts PYTHONPATH=$work/training PYTHONUNBUFFERED=1 OMP_NUM_THREADS=2
cd "$work/training"
mount -o remount,size=100G /dev/shm 2>/dev/null
python3 -m speech.synthesize "$work/train.txt" /dev/shm/shards --workers 14 --hours "${HOURS:-700}" >"$work/synth.log" 2>&1 &
python3 -m speech.make_eval "$work/heldout.txt" "$work/eval" --per-voice "${PER_VOICE:-60}" >"$work/eval.log" 2>&1 &
python3 -m learn.train --shards /dev/shm/shards --sentences "$work/train.txt" --tokenizer "$work/tokenizer.model" \
  --eval "$work/eval" --out "$work/out" --minutes "$minutes" "$@" >"$work/train.log" 2>&1
touch /dev/shm/shards/stop "$work/done"
