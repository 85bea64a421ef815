//! What an adapter can do, as far as kernels ask.

/// A matrix product that the adapter's matrix units do in one instruction, `f16` factors into an `f32` accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatrixShape {
    /// Rows of the result.
    pub m: u32,
    /// Columns of the result.
    pub n: u32,
    /// Terms of each sum.
    pub k: u32,
}

/// Limits and features of an adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct Capabilities {
    /// Smallest and largest number of lanes in a subgroup; `None` without subgroup operations.
    pub subgroup: Option<[u32; 2]>,
    /// Whether shaders may compute in `f16`.
    pub f16: bool,
    /// Shapes of the matrix units, none where there are none.
    pub matrix: Vec<MatrixShape>,
    /// Whether the time of single dispatches can be taken.
    pub timestamps: bool,
    /// Bytes that one binding may reach.
    pub max_binding: u64,
    /// Bytes of the largest buffer.
    pub max_buffer: u64,
    /// Alignment of a binding's first byte within its buffer.
    pub binding_align: u64,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
    /// Threads of a workgroup.
    pub workgroup_threads: u32,
    /// Workgroups along one dimension of a dispatch.
    pub max_groups: u32,
    /// Storage buffers a kernel may bind.
    pub max_bindings: u32,
}

impl Capabilities {
    /// What every device Mynah supports has: WebGPU's default limits, no subgroups, no `f16`, no matrix units. An adapter opened by
    /// [`WgpuBackend::open_least`](crate::WgpuBackend::open_least) has no more.
    pub fn least(self) -> Self {
        Self {
            subgroup: None,
            f16: false,
            matrix: Vec::new(),
            timestamps: false,
            max_binding: self.max_binding.min(128 << 20),
            max_buffer: self.max_buffer.min(256 << 20),
            binding_align: self.binding_align.max(256),
            workgroup_bytes: self.workgroup_bytes.min(16 << 10),
            workgroup_threads: self.workgroup_threads.min(256),
            max_groups: self.max_groups.min(65535),
            max_bindings: self.max_bindings.min(8),
        }
    }
}

#[cfg(test)]
impl Capabilities {
    /// A large adapter with matrix units of 16, for unit tests to change in what they are about.
    pub(crate) fn large() -> Self {
        Self {
            subgroup: Some([32; 2]),
            f16: true,
            matrix: vec![MatrixShape { m: 16, n: 16, k: 16 }],
            timestamps: false,
            max_binding: 1 << 31,
            max_buffer: 1 << 32,
            binding_align: 256,
            workgroup_bytes: 48 << 10,
            workgroup_threads: 1024,
            max_groups: 65535,
            max_bindings: 8,
        }
    }
}
