#!/usr/bin/env bash
# Unpacks the synthesizer packages of DEBS into the folder PREFIX, without installing anything.
# libespeak-ng links a sound-card library that we never call; a stub of its symbols saves a dozen packages.
set -euo pipefail
debs=${1:?usage: unpack.sh DEBS PREFIX}
prefix=${2:?usage: unpack.sh DEBS PREFIX}
mkdir -p "$prefix"
for deb in "$debs"/*.deb; do dpkg -x "$deb" "$prefix"; done
cc -shared -fPIC -Wl,-soname,libpcaudio.so.0 -x c -o "$prefix/usr/lib/x86_64-linux-gnu/libpcaudio.so.0" - <<'C'
void *create_audio_device_object(void) { return 0; }
int audio_object_open(void) { return -1; }
void audio_object_close(void) {}
void audio_object_destroy(void) {}
int audio_object_write(void) { return -1; }
int audio_object_drain(void) { return 0; }
int audio_object_flush(void) { return 0; }
const char *audio_object_strerror(void) { return ""; }
C
