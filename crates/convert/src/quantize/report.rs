//! What a conversion did: per tensor, per type, in total. `Display` gives the summary a command prints.

use std::collections::BTreeMap;
use std::fmt;

use mynah_tensor::{DType, Shape};

use super::rules::Reason;

/// What became of one tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorReport {
    /// Its name.
    pub name: String,
    /// Its shape in the new file.
    pub shape: Shape,
    /// Type before.
    pub from: DType,
    /// Type now.
    pub to: DType,
    /// Why it is not the target type, if it is not.
    pub reason: Option<Reason>,
    /// Bytes in the new file.
    pub bytes: u64,
    /// Sum of squared errors of the conversion.
    pub squared_error: f64,
    /// Sum of squares of the values.
    pub squares: f64,
}

impl TensorReport {
    /// Root mean square of the error relative to that of the values.
    pub fn relative_error(&self) -> f64 {
        relative(self.squared_error, self.squares)
    }
}

impl fmt::Display for TensorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<60} {:>20} {:>7} → {:<7}", self.name, self.shape.to_string(), self.from, self.to)?;
        if self.squared_error > 0.0 {
            write!(f, " error {:.2e}", self.relative_error())?;
        }
        match self.reason {
            Some(reason) => write!(f, " ({})", reason.words()),
            None => Ok(()),
        }
    }
}

/// What a conversion did.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The type asked for.
    pub target: DType,
    /// Every tensor, in file order.
    pub tensors: Vec<TensorReport>,
    /// What a user should hear about.
    pub warnings: Vec<String>,
    /// Bytes of the input, 0 if there was none.
    pub bytes_in: u64,
    /// Bytes of the file written.
    pub bytes_out: u64,
}

#[derive(Default)]
struct Total {
    tensors: usize,
    bytes: u64,
    squared_error: f64,
    squares: f64,
}

impl Report {
    /// Of nothing.
    pub(crate) fn empty(target: DType) -> Report {
        Report { target, tensors: Vec::new(), warnings: Vec::new(), bytes_in: 0, bytes_out: 0 }
    }

    /// Of two files together.
    pub(crate) fn and(mut self, other: Report) -> Report {
        self.tensors.extend(other.tensors);
        self.warnings.extend(other.warnings);
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self
    }

    /// Tensors of each type in the new file.
    fn by_type(&self) -> BTreeMap<DType, Total> {
        let mut totals: BTreeMap<DType, Total> = BTreeMap::new();
        for tensor in &self.tensors {
            let total = totals.entry(tensor.to).or_default();
            total.tensors += 1;
            total.bytes += tensor.bytes;
            total.squared_error += tensor.squared_error;
            total.squares += tensor.squares;
        }
        totals
    }

    /// How many tensors have each type for each reason.
    fn by_reason(&self) -> BTreeMap<(DType, Reason), usize> {
        let mut counts = BTreeMap::new();
        for tensor in &self.tensors {
            if let Some(reason) = tensor.reason {
                *counts.entry((tensor.to, reason)).or_default() += 1;
            }
        }
        counts
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tensors, {}", self.tensors.len(), Size(self.bytes_out))?;
        if self.bytes_in > 0 {
            write!(f, " (from {})", Size(self.bytes_in))?;
        }
        writeln!(f)?;
        for (dtype, total) in self.by_type() {
            write!(f, "  {dtype:<7} {:>5} tensors {:>10}", total.tensors, Size(total.bytes).to_string())?;
            if total.squared_error > 0.0 {
                write!(f, "  relative error {:.2e}", relative(total.squared_error, total.squares))?;
            }
            writeln!(f)?;
        }
        for ((dtype, reason), count) in self.by_reason() {
            if dtype != self.target {
                let plural = if count == 1 { "" } else { "s" };
                writeln!(f, "  {count} tensor{plural} at {dtype}: {}", reason.words())?;
            }
        }
        for warning in &self.warnings {
            writeln!(f, "  warning: {warning}")?;
        }
        Ok(())
    }
}

fn relative(squared_error: f64, squares: f64) -> f64 {
    if squares > 0.0 { (squared_error / squares).sqrt() } else { 0.0 }
}

/// Bytes in the unit people read.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1024 => write!(f, "{} B", self.0),
            1024..0x10_0000 => write!(f, "{:.1} KiB", bytes / 1024.0),
            _ => write!(f, "{:.1} MiB", bytes / 1_048_576.0),
        }
    }
}
