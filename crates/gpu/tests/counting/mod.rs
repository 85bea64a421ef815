//! A backend that computes nothing and writes down what it is told to run, for adapters that this machine need not have.

use mynah_device::{DeviceError, DeviceReport};
use mynah_gpu::{Backend, Bind, Capabilities, Command, Shader, Usage};
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
    type Pipeline = Arc<str>;
    type Bound = ();

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

    fn read(&self, (): &(), bytes: u64, take: &mut dyn FnMut(&[u8])) -> Result<(), DeviceError> {
        take(&vec![0; bytes as usize]);
        Ok(())
    }

    fn wait(&self) -> Result<(), DeviceError> {
        Ok(())
    }
}
