//! A backend that computes nothing and writes down what it is told to run, for adapters that this machine need not have.

use mynah_device::{DeviceError, DeviceReport};
use mynah_gpu::{Backend, Bind, Capabilities, Command, MatrixShape, Shader, Usage};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What was submitted at once: the dispatches' kernels, in order.
pub(crate) type Submission = Vec<Arc<str>>;

/// An adapter with these capabilities and no memory: what is read back is zeros.
pub(crate) struct Counting {
    caps: Capabilities,
    submissions: Mutex<Vec<Submission>>,
}

impl Counting {
    /// An adapter that can do this.
    pub(crate) fn new(caps: Capabilities) -> Self {
        Self { caps, submissions: Mutex::new(Vec::new()) }
    }

    /// Everything submitted since the last call.
    pub(crate) fn take(&self) -> Vec<Submission> {
        std::mem::take(&mut self.submissions.lock().unwrap())
    }
}

impl Backend for Counting {
    type Buffer = ();
    type View = Vec<u8>;
    type Pipeline = Arc<str>;
    type Bound = ();
    type Ahead = ();

    fn name(&self) -> &str {
        "counting"
    }

    fn report(&self) -> DeviceReport {
        let description = "no adapter at all".to_owned();
        DeviceReport { description, features: Vec::new(), parallelism: 1, memory: None }
    }

    fn capabilities(&self) -> &Capabilities {
        &self.caps
    }

    fn buffer(&self, bytes: u64, _: Usage, what: &str) -> Result<(), DeviceError> {
        if bytes > self.caps.max_buffer {
            let (device, wanted) = (self.name().to_owned(), bytes as usize);
            return Err(DeviceError::OutOfMemory { device, what: what.to_owned(), wanted });
        }
        Ok(())
    }

    fn write(&self, (): &(), _: u64, _: &[u8]) -> Result<(), DeviceError> {
        Ok(())
    }

    fn clear(&self, (): &(), _: u64) -> Result<(), DeviceError> {
        Ok(())
    }

    fn pipeline(&self, shader: &Shader) -> Result<Arc<str>, DeviceError> {
        Ok(shader.name.as_str().into())
    }

    fn bind(&self, kernel: &Arc<str>, operands: &Bind<()>) -> Result<(), DeviceError> {
        let wide = operands.iter().find(|slice| slice.bytes > self.caps.max_binding);
        match wide {
            Some(slice) => Err(DeviceError::Kernel {
                node: kernel.to_string(),
                reason: format!("{} bytes are more than a binding reaches", slice.bytes),
            }),
            None => Ok(()),
        }
    }

    fn submit(&self, commands: &[Command<'_, Self>]) -> Result<(), DeviceError> {
        let kernels = commands.iter().filter_map(|command| match command {
            Command::Dispatch { pipeline, .. } => Some(Arc::clone(pipeline)),
            Command::Copy { .. } => None,
        });
        self.submissions.lock().unwrap().push(kernels.collect());
        Ok(())
    }

    fn submit_timed(&self, commands: &[Command<'_, Self>]) -> Result<Vec<Duration>, DeviceError> {
        self.submit(commands)?;
        Ok(Vec::new())
    }

    fn view(&self, (): &(), bytes: u64) -> Result<Self::View, DeviceError> {
        Ok(vec![0; bytes as usize])
    }

    fn wait(&self) -> Result<(), DeviceError> {
        Ok(())
    }
}

/// An adapter like this, with the rest as most have it.
fn adapter(subgroup: [u32; 2], matrix: &[u32], workgroup_bytes: u32) -> Capabilities {
    Capabilities {
        subgroup: Some(subgroup),
        f16: true,
        matrix: matrix.iter().map(|&side| MatrixShape { m: side, n: side, k: side }).collect(),
        timestamps: true,
        max_binding: 2 << 30,
        max_buffer: 4 << 30,
        binding_align: 256,
        workgroup_bytes,
        workgroup_threads: 1024,
        max_groups: 65535,
        max_bindings: 16,
    }
}

/// Several kinds of adapter.
pub(crate) fn adapters() -> Vec<(&'static str, Capabilities)> {
    let nvidia = adapter([32, 32], &[16], 48 << 10);
    vec![
        ("nvidia", nvidia.clone()),
        ("apple", adapter([32, 32], &[8], 32 << 10)),
        // Subgroups of two sizes, no matrix units.
        ("intel", adapter([8, 32], &[], 32 << 10)),
        ("least", nvidia.least()),
    ]
}

/// Everything but the variant: `matmul q8_0 units16 128x64/1` is a `matmul`, `matmul sum` a kernel of its own.
fn family(kernel: &str) -> &str {
    match kernel {
        "matmul sum" => kernel,
        _ => kernel.split([' ', '/']).next().unwrap_or(kernel),
    }
}

/// A line for a graph: how many, then how many of each family.
pub(crate) fn line(adapter: &str, graph: &str, submissions: &[Submission]) -> String {
    let kernels: Vec<&str> = submissions.iter().flatten().map(|kernel| family(kernel)).collect();
    let mut families: BTreeMap<&str, usize> = BTreeMap::new();
    kernels.iter().for_each(|kernel| *families.entry(kernel).or_default() += 1);
    let families: Vec<String> = families.iter().map(|(kernel, count)| format!("{count} {kernel}")).collect();
    format!("{adapter} {graph}: {} in {} = {}\n", kernels.len(), submissions.len(), families.join(" + "))
}

/// Holds what was counted against a file of `tests`, or writes that anew.
pub(crate) fn agree(file: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file);
    if std::env::var_os("MYNAH_UPDATE_DISPATCHES").is_some_and(|v| v == "1") {
        std::fs::write(&path, found).unwrap();
        return;
    }
    let agreed = std::fs::read_to_string(&path).unwrap();
    let mut changes = String::new();
    for (sign, a, b) in [('-', agreed.as_str(), found), ('+', found, agreed.as_str())] {
        for line in a.lines().filter(|line| !b.lines().any(|l| l == *line)) {
            writeln!(changes, "{sign} {line}").unwrap();
        }
    }
    assert!(
        changes.is_empty(),
        "the dispatches have changed (MYNAH_UPDATE_DISPATCHES=1 accepts them):\n{changes}"
    );
}
