//! The backend: Apple silicon as wgpu presents it, as far as kernels can tell.

mod submit;

use crate::compiler::{Arithmetic, Compiler, CompilerError};
use crate::cpp::cpp;
use crate::library::{Kernel, Order, Runtime};
use crate::memory::MslBuffer;
use crate::translate::{Translation, translate};
use mynah_device::{DeviceError, DeviceReport};
use mynah_gpu::{Access, Backend, Bind, Capabilities, Command, MatrixShape, Shader, Slice, Usage};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Buffers that a kernel function may have.
const SLOTS: usize = 31;

/// Runs kernels' Metal translations on the CPU.
pub struct MslBackend {
    /// `None` when kernels are only translated.
    machine: Option<Machine>,
    caps: Capabilities,
    lanes: u32,
    order: Order,
    pipelines: Mutex<HashMap<Shader, Made>>,
    translated: Mutex<BTreeMap<String, BTreeSet<usize>>>,
}

type Made = Arc<OnceLock<Result<MslPipeline, String>>>;

struct Machine {
    compiler: Compiler,
    runtime: Arc<Runtime>,
}

/// A compiled kernel; clones share it.
#[derive(Clone, Debug)]
pub struct MslPipeline(Arc<Pipeline>);

#[derive(Debug)]
struct Pipeline {
    name: String,
    bindings: Vec<Access>,
    immediate_bytes: u32,
    threads: [u32; 3],
    threadgroup_bytes: u32,
    kernel: Option<Kernel>,
}

/// A kernel's operands.
#[derive(Debug)]
pub struct MslBound {
    operands: Vec<(Slice<MslBuffer>, Access)>,
}

impl MslBackend {
    /// Compiles with the clang that [`crate::find_clang`] finds; objects are kept in `cache`.
    ///
    /// # Errors
    /// [`CompilerError`].
    pub fn new(cache: &Path, arithmetic: Arithmetic) -> Result<Self, CompilerError> {
        let compiler = Compiler::new(cache, arithmetic)?;
        let runtime =
            Runtime::load(&compiler.runtime()).map_err(|e| CompilerError::Refused(e.to_string()))?;
        Ok(Self { machine: Some(Machine { compiler, runtime: Arc::new(runtime) }), ..Self::translator() })
    }

    /// A backend that translates kernels and runs none: every submission fails.
    pub fn translator() -> Self {
        Self {
            machine: None,
            caps: apple(),
            lanes: 32,
            order: Order::Forward,
            pipelines: Mutex::default(),
            translated: Mutex::default(),
        }
    }

    /// The same with threads taking turns in this order.
    pub fn ordered(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// The same with simdgroups of so many lanes, 1 to 64, which no Apple GPU has unless it is 32; matrix units need 32.
    pub fn lanes(mut self, lanes: u32) -> Self {
        self.lanes = lanes.clamp(1, 64);
        self.caps.subgroup = Some([self.lanes, self.lanes]);
        if self.lanes != 32 {
            self.caps.matrix.clear();
        }
        self
    }

    /// The same with other limits and features.
    pub fn limited(self, limit: impl FnOnce(Capabilities) -> Capabilities) -> Self {
        Self { caps: limit(self.caps), ..self }
    }

    /// Lines of the translations made so far, by kernel; variants of a kernel may differ in length.
    pub fn sizes(&self) -> BTreeMap<String, BTreeSet<usize>> {
        self.translated.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn make(&self, shader: &Shader) -> Result<MslPipeline, String> {
        let translation = translate(shader)?;
        let mut translated = self.translated.lock().unwrap_or_else(PoisonError::into_inner);
        translated.entry(shader.name.clone()).or_default().insert(translation.lines());
        drop(translated);
        let threads: u32 = shader.workgroup.iter().product();
        if threads > self.caps.workgroup_threads || translation.threadgroup_bytes > self.caps.workgroup_bytes
        {
            let bytes = translation.threadgroup_bytes;
            return Err(format!("{threads} threads and {bytes} bytes of threadgroup memory"));
        }
        let slots = shader.bindings.len() + 1 + usize::from(shader.immediate_bytes > 0);
        if slots > SLOTS {
            return Err(format!("{slots} buffers, Metal has {SLOTS}"));
        }
        let kernel = self.machine.as_ref().map(|machine| machine.kernel(&translation)).transpose()?;
        Ok(MslPipeline(Arc::new(Pipeline {
            name: shader.name.clone(),
            bindings: shader.bindings.clone(),
            immediate_bytes: shader.immediate_bytes,
            threads: shader.workgroup,
            threadgroup_bytes: translation.threadgroup_bytes,
            kernel,
        })))
    }

    fn lost(&self, reason: impl Into<String>) -> DeviceError {
        DeviceError::Lost { device: self.name().to_owned(), reason: reason.into() }
    }
}

impl Machine {
    fn kernel(&self, translation: &Translation) -> Result<Kernel, String> {
        let object = self.compiler.compile(&cpp(translation)?).map_err(|e| e.to_string())?;
        Kernel::load(&self.runtime, &object).map_err(|e| e.to_string())
    }
}

/// What wgpu says of Apple silicon, but for the number of lanes: it reports 4 to 64, the hardware has 32.
fn apple() -> Capabilities {
    Capabilities {
        subgroup: Some([32, 32]),
        f16: true,
        matrix: vec![MatrixShape { m: 8, n: 8, k: 8 }],
        timestamps: true,
        max_binding: 4 << 30,
        max_buffer: 4 << 30,
        binding_align: 32,
        workgroup_bytes: 32 << 10,
        workgroup_threads: 1024,
        max_groups: 0xffff,
        // wgpu keeps one slot for immediates and one for the bindings' lengths.
        max_bindings: SLOTS as u32 - 2,
    }
}

impl Backend for MslBackend {
    type Buffer = MslBuffer;
    type View = Vec<u8>;
    type Pipeline = MslPipeline;
    type Bound = MslBound;
    type Ahead = ();

    fn name(&self) -> &str {
        "msl"
    }

    fn report(&self) -> DeviceReport {
        DeviceReport {
            description: "Metal's translation on the CPU".into(),
            features: vec![format!("subgroups of {}", self.lanes), "f16".into()],
            parallelism: 1,
            memory: None,
        }
    }

    fn capabilities(&self) -> &Capabilities {
        &self.caps
    }

    fn buffer(&self, bytes: u64, _usage: Usage, what: &str) -> Result<MslBuffer, DeviceError> {
        let fits = bytes <= self.caps.max_buffer;
        fits.then(|| MslBuffer::new(bytes)).flatten().ok_or_else(|| DeviceError::OutOfMemory {
            device: self.name().to_owned(),
            what: what.to_owned(),
            wanted: usize::try_from(bytes).unwrap_or(usize::MAX),
        })
    }

    fn write(&self, buffer: &MslBuffer, offset: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        if !offset.is_multiple_of(4) || !bytes.len().is_multiple_of(4) {
            return Err(self.lost(format!("{} bytes are written from byte {offset} on", bytes.len())));
        }
        let range = buffer.range(offset, bytes.len() as u64);
        let range = range.ok_or_else(|| self.lost("a buffer is written past its end"))?;
        bytemuck::cast_slice_mut(&mut buffer.write())[range].copy_from_slice(bytes);
        Ok(())
    }

    fn clear(&self, buffer: &MslBuffer, bytes: u64) -> Result<(), DeviceError> {
        let range = buffer.range(0, bytes.next_multiple_of(4));
        let range = range.ok_or_else(|| self.lost("a buffer is cleared past its end"))?;
        bytemuck::cast_slice_mut::<_, u8>(&mut buffer.write())[range].fill(0);
        Ok(())
    }

    fn pipeline(&self, shader: &Shader) -> Result<MslPipeline, DeviceError> {
        let mut pipelines = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        let made = Arc::clone(pipelines.entry(shader.clone()).or_default());
        // Others compile other kernels meanwhile.
        drop(pipelines);
        match made.get_or_init(|| self.make(shader)) {
            Ok(pipeline) => Ok(pipeline.clone()),
            Err(reason) => Err(DeviceError::Kernel { node: shader.name.clone(), reason: reason.clone() }),
        }
    }

    fn bind(&self, pipeline: &MslPipeline, operands: &Bind<MslBuffer>) -> Result<MslBound, DeviceError> {
        let Pipeline { name, bindings, .. } = pipeline.0.as_ref();
        let refused = |reason: String| Err(DeviceError::Kernel { node: name.clone(), reason });
        if operands.len() != bindings.len() {
            return refused(format!("{} operands for {} bindings", operands.len(), bindings.len()));
        }
        for (i, slice) in operands.iter().enumerate() {
            let Slice { buffer, offset, bytes } = slice;
            if !offset.is_multiple_of(self.caps.binding_align) || *bytes == 0 || !bytes.is_multiple_of(4) {
                return refused(format!("operand {i}: {bytes} bytes from byte {offset} on"));
            }
            if *bytes > self.caps.max_binding || buffer.range(*offset, *bytes).is_none() {
                let has = buffer.bytes();
                return refused(format!("operand {i}: {bytes} bytes from byte {offset} on, of {has}"));
            }
        }
        // As wgpu has it: within a dispatch a buffer is read, or read and written.
        let mut ways: HashMap<usize, Access> = HashMap::new();
        for (slice, access) in operands.iter().zip(bindings) {
            if ways.insert(slice.buffer.id(), *access).is_some_and(|other| other != *access) {
                return refused("a buffer is bound in both ways".into());
            }
        }
        Ok(MslBound { operands: operands.iter().cloned().zip(bindings.iter().copied()).collect() })
    }

    fn submit(&self, commands: &[Command<'_, Self>]) -> Result<(), DeviceError> {
        commands.iter().try_for_each(|command| self.run(command))
    }

    fn submit_timed(&self, commands: &[Command<'_, Self>]) -> Result<Vec<Duration>, DeviceError> {
        let mut times = Vec::new();
        for command in commands {
            let start = std::time::Instant::now();
            self.run(command)?;
            if matches!(command, Command::Dispatch { .. }) {
                times.push(start.elapsed());
            }
        }
        Ok(times)
    }

    fn view(&self, buffer: &MslBuffer, bytes: u64) -> Result<Self::View, DeviceError> {
        let range = buffer.range(0, bytes).ok_or_else(|| self.lost("a buffer is read past its end"))?;
        Ok(bytemuck::cast_slice(&buffer.read())[range].to_vec())
    }

    fn wait(&self) -> Result<(), DeviceError> {
        Ok(())
    }
}
