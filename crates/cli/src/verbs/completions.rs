//! `mynah completions`: what a shell needs to complete verbs and flags.

use crate::exit::Exit;
use clap::Args;
use clap_complete::Shell;

/// Flags of `mynah completions`.
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Runs the verb.
    ///
    /// # Errors
    /// A closed pipe.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::cli::command(), "mynah", &mut script);
        crate::out::write(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Success)
    }
}
