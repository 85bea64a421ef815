#!/usr/bin/env bash
# Fetches, from a Debian 12 mirror, the text the sentences come from and the synthesizers that speak them.
#   training/fetch_sources.sh WORK
# leaves WORK/text (unpacked text packages), WORK/deb (synthesizer packages to carry to the GPU machine) and
# WORK/tts (the same, unpacked here). Nothing is installed;
# corpus/sources.py needs diatheke, the reader of the Bible module, on the PATH.
set -euo pipefail
work=${1:?usage: fetch_sources.sh WORK}
mkdir -p "$work/text" "$work/deb" "$work/tts" "$work/debs-text"

text_packages=(
  r-cran-janeaustenr      # Jane Austen's six novels, public domain
  sword-text-web          # World English Bible, public domain
  wordnet-base            # WordNet 3.0 glosses and examples, WordNet licence (permissive)
  dict-gcide              # of it, what Webster wrote in 1913 (public domain), see corpus/sources.py
  dict-devil              # The Devil's Dictionary, public domain
  dict-jargon             # The Jargon File, public domain
  wamerican wbritish wamerican-small   # SCOWL word lists (permissive)
)
speech_packages=(espeak-ng-data libespeak-ng1 libsonic0 libflite1 libasound2)

(cd "$work/debs-text" && apt-get download -qq "${text_packages[@]}")
(cd "$work/deb" && apt-get download -qq "${speech_packages[@]}")
for deb in "$work"/debs-text/*.deb; do dpkg -x "$deb" "$work/text"; done
"$(dirname "$0")/speech/unpack.sh" "$work/deb" "$work/tts"
