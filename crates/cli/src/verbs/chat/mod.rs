//! `mynah chat`: talking with a language model.
//!
//! `input` gives lines, `command` tells messages from commands, `session` keeps the chat and answers. Lines from a pipe are turns
//! like any other; the answers are all that stands on standard output.

mod command;
mod input;
mod session;

use crate::exit::{Exit, Usage};
use crate::failure;
use crate::flags::{AnswerFlags, ModelFlags, SamplingFlags, VolumeFlags};
use crate::mind::Mind;
use crate::notes;
use clap::Args;
use command::{Command, Line};
use input::{Input, Typed};
use mynah_runtime::EngineOptions;
use session::Session;

pub(crate) use command::COMMANDS;

/// Flags of `mynah chat`.
#[derive(Args, Debug)]
pub(crate) struct Chat {
    /// What the model is told before everything else
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,

    /// Don't keep what was typed for the next chat
    #[arg(long)]
    no_history: bool,

    #[command(flatten)]
    answer: AnswerFlags,

    #[command(flatten)]
    sampling: SamplingFlags,

    #[command(flatten)]
    model: ModelFlags,

    #[command(flatten)]
    volume: VolumeFlags,
}

impl Chat {
    /// Runs the verb.
    ///
    /// # Errors
    /// A model or flags that can't be used; from a pipe also what an answer fails with.
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let mut session = self.session()?;
        let mut input = Input::open(!self.no_history)?;
        if input.is_terminal() {
            let name = session.mind.generator.name().to_owned();
            self.volume.volume().note(&format!("{name}; /help lists the commands, /exit ends"));
        }
        loop {
            let line = match input.next()? {
                Typed::Line(line) => line,
                Typed::Nothing => continue,
                Typed::End => break,
            };
            let done = match Line::read(&line) {
                Line::Empty => Ok(()),
                Line::Message(text) => session.say(text),
                Line::Command(Command::Exit) => break,
                Line::Command(command) => obey(&mut session, command),
                Line::Wrong(why) => Err(Usage::plain(why).into()),
            };
            match done {
                // A person can say something else, a program can't.
                Err(error) if input.is_terminal() && !failure::is_broken_pipe(&error) => {
                    failure::print(&error);
                }
                done => done?,
            }
        }
        input.remember();
        Ok(Exit::Success)
    }

    fn session(&self) -> anyhow::Result<Session> {
        let form = self.answer.form()?;
        let context = self.answer.context.map(|c| c as usize);
        let drafts = usize::from(self.answer.draft);
        let options =
            EngineOptions { sequences: 1, checkpoints: 2, context, drafts, ..EngineOptions::default() };
        let volume = self.volume.volume();
        let mind = Mind::open(&self.model, &self.sampling, options, volume)?;
        // Better known before the first message.
        mind.generator.template()?;
        let mut session = Session {
            mind,
            form,
            max_tokens: self.answer.max_tokens,
            stops: self.answer.stop.clone(),
            think: self.answer.think,
            volume,
            messages: Vec::new(),
            answers: 0,
            last: None,
        };
        session.set_system(self.system.clone());
        Ok(session)
    }
}

fn obey(session: &mut Session, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Help => notes::raw(&format!("{COMMANDS}\n")),
        Command::System(text) => session.set_system(text),
        Command::Think(on) => session.think = Some(on),
        Command::Regen => {
            if !session.again()? {
                return Err(Usage::plain("there is nothing to answer yet").into());
            }
        }
        Command::Reset => session.reset(),
        Command::Save(path) => session.save(&path)?,
        Command::Load(path) => session.load(&path)?,
        Command::Stats => notes::raw(&session.stats()),
        // The loop has ended.
        Command::Exit => {}
    }
    Ok(())
}
