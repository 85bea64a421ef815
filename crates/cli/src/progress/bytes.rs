//! Progress of writing a model file.

use crate::flags::ProgressKind;
use crate::{interrupt, notes};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mynah_convert::Progress;
use serde_json::json;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Shows bytes written of bytes in all.
pub(crate) struct ByteMeter {
    bar: Option<ProgressBar>,
    json: bool,
    /// The last tenth of a per cent that was told to programs.
    told: AtomicU64,
}

impl ByteMeter {
    /// A meter of that kind.
    pub(crate) fn new(kind: ProgressKind) -> Self {
        let wanted =
            matches!(kind, ProgressKind::Auto | ProgressKind::Bar) && std::io::stderr().is_terminal();
        let bar = wanted.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style =
                ProgressStyle::with_template("{bar:24} {binary_bytes} of {binary_total_bytes}, {eta} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, json: kind == ProgressKind::Json, told: AtomicU64::new(u64::MAX) }
    }

    /// Takes how far the work is; the place where Ctrl-C ends it.
    pub(crate) fn at(&self, progress: Progress) {
        interrupt::check();
        if let Some(bar) = &self.bar {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        }
        if self.json {
            let share = progress.done.saturating_mul(1000) / progress.total.max(1);
            if self.told.swap(share, Relaxed) != share {
                let line = json!({ "event": "progress", "bytes": progress.done, "total": progress.total });
                notes::raw(&format!("{line}\n"));
            }
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
