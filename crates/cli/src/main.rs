//! The `mynah` command: flags in, results on stdout, progress on stderr.
fn main() {}
