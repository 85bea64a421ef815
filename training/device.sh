#!/usr/bin/env bash
# Runs the whole recipe on the GPU machine in the background: unpack the synthesizers, speak, train, evaluate.
#   training/device.sh CARRY WORK MINUTES [train.py arguments]
# CARRY holds deb/ (synthesizer packages), train.txt.xz, heldout.txt, tokenizer.model. Progress: WORK/*.log; results:
# WORK/out. WORK/done appears at the end.
set -uo pipefail
carry=$1 work=$2 minutes=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$work/out"
cp -r "$here" "$work/training"
cp "$carry"/heldout.txt "$carry"/tokenizer.model "$work"
[ -f "$carry/model.pt" ] && cp "$carry/model.pt" "$work/resume.pt"
xz -dc "$carry/train.txt.xz" >"$work/train.txt"
"$here/speech/unpack.sh" "$carry/deb" "$work/tts"
export TTS_PREFIX=$work/tts PYTHONPATH=$work/training PYTHONUNBUFFERED=1 OMP_NUM_THREADS=2
cd "$work/training"
mount -o remount,size=100G /dev/shm 2>/dev/null
python3 -m speech.synthesize "$work/train.txt" /dev/shm/shards --workers 14 --hours "${HOURS:-650}" >"$work/synth.log" 2>&1 &
python3 -m speech.make_eval "$work/heldout.txt" "$work/eval" --per-voice "${PER_VOICE:-60}" >"$work/eval.log" 2>&1 &
python3 -m learn.train --shards /dev/shm/shards --sentences "$work/train.txt" --tokenizer "$work/tokenizer.model" \
  --eval "$work/eval" --out "$work/out" --minutes "$minutes" "$@" >"$work/train.log" 2>&1
touch /dev/shm/shards/stop "$work/done"
