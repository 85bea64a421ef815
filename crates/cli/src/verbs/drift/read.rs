//! Qwen3.5: reads a text and keeps the logits behind each of its tokens. What it would have written there is compared, too.

use super::setting::Setting;
use super::subject::{LOGITS, Run, Step, Subject, widen};
use super::workbench::{Workbench, blame};
use anyhow::Context as _;
use mynah::{EngineOptions, Generator};
use mynah_text::bpe::Specials;

/// A text.
pub(super) struct Reader {
    bench: Workbench,
    text: String,
}

impl Reader {
    /// A reader of a text, in which special tokens are recognised.
    pub(super) fn new(bench: Workbench, text: String) -> Self {
        Self { bench, text }
    }
}

impl Subject for Reader {
    fn run(&mut self, setting: &Setting, beside: Option<&Run>) -> anyhow::Result<Run> {
        let (devices, options) = self.bench.place(setting)?;
        let path = self.bench.model(setting);
        let file = self.bench.file(path.as_deref(), setting.dtype)?;
        let engine = EngineOptions { sequences: 1, checkpoints: 0, ..EngineOptions::default() };
        let model = Generator::on(file, devices, &options, engine);
        let mut model = model.with_context(|| blame(path.as_deref()))?;
        let ids = model.encode(&self.text, Specials::All);
        let mut run = Run { led: beside.is_some(), ..Run::default() };
        let mut logits = Vec::new();
        let done = model.engine().evaluate(&ids, 0, &mut |at, row| {
            run.width = row.len();
            let best = row.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
            let token = best.map_or(0, |(token, _)| token as u32);
            run.tokens.push(Step { token, at: at as u32 });
            logits.extend(widen(row));
        });
        done.map_err(mynah::Error::from)?;
        run.choices = run.width;
        run.stages.push((LOGITS.to_owned(), logits));
        Ok(run)
    }

    fn bench(&mut self) -> &mut Workbench {
        &mut self.bench
    }

    fn row(&self) -> &'static str {
        "token"
    }
}
