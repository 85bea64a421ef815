//! The smallest subscriber that prints tracing's events on stderr: one line an event, `target: message key=value`.

use crate::notes;
use std::fmt::{self, Write as _};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Where devices log the checksums of what their kernels computed.
const CHECKSUMS: &str = "mynah::checksum";

/// Starts printing events up to a rung of the ladder.
pub(super) fn start(level: u8) {
    // Only a second call could fail, and then events are printed already.
    let _ = tracing::subscriber::set_global_default(Log { level });
}

struct Log {
    level: u8,
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        if target == CHECKSUMS {
            return self.level >= 5;
        }
        // Other crates have events of their own, which explain nothing here.
        let most = if self.level >= 3 { Level::TRACE } else { Level::DEBUG };
        target.starts_with("mynah") && *metadata.level() <= most
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line { text: format!("{}:", event.metadata().target()), fields: String::new() };
        event.record(&mut line);
        notes::raw(&format!("{}{}\n", line.text, line.fields));
    }

    // Nothing here opens spans.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Collects the fields of an event.
struct Line {
    text: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String can't fail.
        let _ = match field.name() {
            "message" => write!(self.text, " {value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = match field.name() {
            "message" => write!(self.text, " {value}"),
            name => write!(self.fields, " {name}={value}"),
        };
    }
}
