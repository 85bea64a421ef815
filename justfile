# Shortcuts for people who have `just`; every recipe is a command that works without it.

# list the recipes
default:
    @just --list

# what must hold before a commit, in the order in which it fails fastest
check:
    .ci/house
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# all tests, or those of one crate: just test cpu
test crate="":
    cargo test {{ if crate == "" { "--workspace" } else { "-p " + if crate =~ '^(mynah|mynah-.*)$' { crate } else { "mynah-" + crate } } }}

# everything that must hold before a merge
ci:
    .ci/run

# every op of a device against the f64 reference
ops *flags:
    cargo run --release -- ops {{ flags }}

# search for inputs that break a parser: just fuzz gguf 600
fuzz target seconds="60":
    cd fuzz && cargo run --release --no-default-features --bin soak -- {{ target }} {{ seconds }}

# the built-in model on the samples
hear:
    cargo run --release -- transcribe assets/samples/*.wav
