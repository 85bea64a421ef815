//! The tables that people read.

use std::fmt;

use super::{Inspection, KeyLine};
use crate::{Array, Value};

/// Longer strings are cut in the table: chat templates run to pages.
const TEXT_WIDTH: usize = 80;

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = |label: &Option<String>| label.as_deref().map_or_else(|| "(none)".to_owned(), plain);
        writeln!(f, "architecture  {}", label(&self.architecture))?;
        writeln!(f, "name          {}", label(&self.name))?;
        writeln!(f, "format        GGUF v{}, alignment {}", self.version, self.alignment)?;
        writeln!(f, "file size     {}", size(self.file_bytes))?;
        let (tensors, elements) = (self.tensors.len(), count(self.elements));
        writeln!(f, "tensors       {tensors}, {elements} elements, {}", size(self.tensor_bytes))?;
        for total in &self.totals {
            let (tensors, elements) = (total.tensors, count(total.elements));
            let (dtype, bytes) = (&total.dtype, size(total.bytes));
            writeln!(f, "  {dtype:<12}{tensors:>6} tensors {elements:>10} elements  {bytes}")?;
        }
        if !self.metadata.is_empty() {
            writeln!(f, "\nkeys ({})", self.metadata.len())?;
        }
        let keys: Vec<String> = self.metadata.iter().map(|line| plain(&line.key)).collect();
        let (key, kind) = (width(keys.iter()), width(self.metadata.iter().map(|line| &line.kind)));
        for (name, line) in keys.iter().zip(&self.metadata) {
            writeln!(f, "  {name:<key$}  {:<kind$}  {}", line.kind, shown(line))?;
        }
        if !self.tensors.is_empty() {
            writeln!(f, "\ntensors ({})", self.tensors.len())?;
        }
        let names: Vec<String> = self.tensors.iter().map(|line| plain(&line.name)).collect();
        let shapes: Vec<String> = self.tensors.iter().map(|line| line.shape.to_string()).collect();
        let (name_width, shape_width) = (width(names.iter()), width(shapes.iter()));
        let dtype = width(self.tensors.iter().map(|line| &line.dtype));
        for ((name, shape), line) in names.iter().zip(&shapes).zip(&self.tensors) {
            let bytes = size(line.bytes);
            writeln!(f, "  {name:<name_width$}  {:<dtype$}  {shape:<shape_width$}  {bytes:>10}", line.dtype)?;
        }
        Ok(())
    }
}

fn width<'a>(texts: impl Iterator<Item = &'a String>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0)
}

/// Text from a file, made safe for a terminal: control characters would move the cursor or worse.
fn plain(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// A value in one line.
fn shown(line: &KeyLine) -> String {
    match &line.value {
        Value::Array(array) => {
            let more = line.kind != format!("{}[{}]", array.element_type(), array.len());
            format!("[{}{}]", elements(array), if more { ", ..." } else { "" })
        }
        value => scalar(value),
    }
}

fn elements(array: &Array) -> String {
    let shown: Vec<String> = (0..array.len()).filter_map(|i| array.get(i)).map(|v| scalar(&v)).collect();
    shown.join(", ")
}

fn scalar(value: &Value) -> String {
    match value {
        Value::F32(v) => v.to_string(),
        Value::F64(v) => v.to_string(),
        Value::Bool(v) => v.to_string(),
        Value::String(text) => {
            let mut cut: String = text.chars().take(TEXT_WIDTH).collect();
            if cut.len() < text.len() {
                cut.push('…');
            }
            format!("\"{}\"", plain(&cut))
        }
        Value::Array(array) => format!("[{}]", elements(array)),
        integer => integer.as_integer().unwrap_or_default().to_string(),
    }
}

/// Bytes in the unit that leaves one to three digits before the point.
fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{value} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// A number of elements: 617, 12.4 k, 114.6 M.
fn count(elements: u64) -> String {
    let value = elements as f64;
    match elements {
        0..1000 => elements.to_string(),
        1000..1_000_000 => format!("{:.1} k", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} M", value / 1e6),
        _ => format!("{:.2} B", value / 1e9),
    }
}
