//! One dispatch: its shader, what it binds, its immediates, its workgroups; and the builder kernels are written with.

use super::{Bind, Operand};
use crate::backend::{Access, IMMEDIATE_BYTES};
use crate::check::Check;
use crate::pages::PageCheck;
use crate::shader::{Shader, Source};
use mynah_device::{DeviceError, WeightUse};

/// Where an operand lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// From this byte of the arena on.
    Arena(u64),
    /// From this byte of the scratch memory that the kernels of a program share on; it survives from one dispatch of a step
    /// to the next, not from step to step.
    Scratch(u64),
    /// From this byte of a plane of a weight on.
    Weight {
        /// Its name.
        name: String,
        /// How the op reads it.
        use_: WeightUse,
        /// Which plane.
        plane: usize,
        /// First byte.
        offset: u64,
    },
    /// A whole state tensor, by its place among the graph's.
    State(u32),
    /// Where guards report.
    Faults,
}

/// An immediate of four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Known beforehand.
    Fixed(u32),
    /// A runtime scalar, checked to fit.
    Slot(u32),
    /// Rows of a state tensor.
    Rows(u32),
}

/// A kernel ready to be compiled, bound and run.
#[derive(Clone, Debug)]
pub(crate) struct Dispatch {
    pub(crate) shader: Shader,
    /// Places with their length in bytes; a state tensor's is its own.
    pub(crate) operands: Vec<(Place, u64)>,
    pub(crate) immediates: Vec<Word>,
    pub(crate) groups: [u32; 3],
    pub(crate) joins: Joins,
}

/// Whether a dispatch may be one with others (see [`super::siblings`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joins {
    /// It stays alone.
    Never,
    /// With any that say so: its workgroups need little memory.
    Any,
    /// With those of the very same kernel, whose workgroups then use the same memory.
    Same,
}

impl Dispatch {
    /// Replaces the placeholder of a guard's step number.
    pub(crate) fn number_guard(&mut self, placeholder: u32, step: u32) {
        if self.operands.iter().any(|(place, _)| *place == Place::Faults) {
            let word = self.immediates.iter_mut().find(|w| **w == Word::Fixed(placeholder));
            word.into_iter().for_each(|w| *w = Word::Fixed(step));
        }
    }
}

/// What a node becomes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compiled {
    /// Kernel and route, for reports.
    pub(crate) name: String,
    pub(crate) dispatches: Vec<Dispatch>,
    /// Bytes of scratch memory.
    pub(crate) scratch: u64,
    pub(crate) checks: Vec<Check>,
    pub(crate) pages: Vec<PageCheck>,
}

impl Compiled {
    /// A single dispatch.
    pub(crate) fn one(dispatch: Dispatch) -> Self {
        Self { name: dispatch.shader.name.clone(), dispatches: vec![dispatch], ..Self::default() }
    }

    /// The same with checks.
    pub(crate) fn checked(mut self, checks: impl IntoIterator<Item = Check>) -> Self {
        self.checks.extend(checks);
        self
    }
}

/// Builds a dispatch.
///
/// Bindings get the names and element types given here; immediates are the fields of `p`; workgroup sizes are `WG_X`,
/// `WG_Y`, `WG_Z`. The `.wgsl` file has the rest, its entry point being `main`.
pub(crate) struct Kernel<'b, 'a> {
    bind: &'b Bind<'a>,
    source: Source,
    operands: Vec<(Place, u64)>,
    immediates: Vec<Word>,
}

impl<'b, 'a> Kernel<'b, 'a> {
    pub(super) fn new(bind: &'b Bind<'a>) -> Self {
        Self { bind, source: Source::default(), operands: Vec::new(), immediates: Vec::new() }
    }

    /// Binds an operand as `var name: array<element>`. Elements of 8 or 16 bytes need rows of such lengths: their count is
    /// rounded up, which stays within the place because places are whole 256 bytes.
    pub(crate) fn bind(&mut self, name: &str, element: &str, operand: &Operand) -> &mut Self {
        let access = match operand.place {
            Place::Weight { .. } => Access::Read,
            _ => Access::ReadWrite,
        };
        self.bind_as(name, element, operand, access)
    }

    /// As [`Kernel::bind`], with a weight bound as if it were written. What is only read takes another way through NVIDIA's caches,
    /// which is slower for large tiles: 194 TFLOP/s against 260 at 4096³ on an H200.
    pub(crate) fn bind_tiles(&mut self, name: &str, element: &str, operand: &Operand) -> &mut Self {
        self.bind_as(name, element, operand, Access::ReadWrite)
    }

    fn bind_as(&mut self, name: &str, element: &str, operand: &Operand, access: Access) -> &mut Self {
        self.source.binding(name, &format!("array<{element}>"), access);
        self.operands.push((operand.place.clone(), operand.bytes.max(4).next_multiple_of(16)));
        self
    }

    /// An immediate `p.name` of type `u32`.
    pub(crate) fn param(&mut self, name: &'static str, value: usize) -> &mut Self {
        self.source.param(name, "u32");
        self.immediates.push(Word::Fixed(value as u32));
        self
    }

    /// An immediate of type `i32`.
    pub(crate) fn param_i32(&mut self, name: &'static str, value: i32) -> &mut Self {
        self.source.param(name, "i32");
        self.immediates.push(Word::Fixed(value as u32));
        self
    }

    /// An immediate of type `f32`.
    pub(crate) fn param_f32(&mut self, name: &'static str, value: f32) -> &mut Self {
        self.source.param(name, "f32");
        self.immediates.push(Word::Fixed(value.to_bits()));
        self
    }

    /// An immediate `u32` that takes a slot's value at each run; the slot must be checked.
    pub(crate) fn param_slot(&mut self, name: &'static str, slot: u32) -> &mut Self {
        self.source.param(name, "u32");
        self.immediates.push(Word::Slot(slot));
        self
    }

    /// An immediate `u32`: the rows of a state tensor.
    pub(crate) fn param_rows(&mut self, name: &'static str, state: u32) -> &mut Self {
        self.source.param(name, "u32");
        self.immediates.push(Word::Rows(state));
        self
    }

    /// The text around the code: flags, constants, includes.
    pub(crate) fn source(&mut self) -> &mut Source {
        &mut self.source
    }

    /// The dispatch of `code` over `groups` workgroups.
    ///
    /// # Errors
    /// [`DeviceError::Unsupported`] when the adapter's limits are too low for it.
    pub(crate) fn finish(
        self,
        name: impl Into<String>,
        code: &str,
        workgroup: [u32; 3],
        groups: [usize; 3],
    ) -> Result<Dispatch, DeviceError> {
        let (caps, name) = (self.bind.caps(), name.into());
        let lacks = |reason: String| Err(self.bind.unsupported(format!("{name}: {reason}")));
        if self.operands.len() > caps.max_bindings as usize {
            return lacks(format!("{} bindings, the adapter has {}", self.operands.len(), caps.max_bindings));
        }
        if let Some((_, bytes)) = self.operands.iter().find(|(_, bytes)| *bytes > caps.max_binding) {
            return lacks(format!("an operand of {bytes} bytes, a binding may have {}", caps.max_binding));
        }
        if workgroup.iter().product::<u32>() > caps.workgroup_threads {
            return lacks(format!("{workgroup:?} threads, a workgroup may have {}", caps.workgroup_threads));
        }
        if 4 * self.immediates.len() as u32 > IMMEDIATE_BYTES {
            return lacks("too many immediates".into());
        }
        if groups.iter().any(|&n| n > caps.max_groups as usize) {
            return lacks(format!("{groups:?} workgroups, a dimension may have {}", caps.max_groups));
        }
        let shader = self.source.finish(name, code, workgroup);
        let groups = groups.map(|n| n as u32);
        Ok(Dispatch {
            shader,
            operands: self.operands,
            immediates: self.immediates,
            groups,
            joins: Joins::Never,
        })
    }

    /// Workgroups for `count` units of work in one row, folded into two where one dimension doesn't hold them. The shader
    /// numbers them `wid.y * groups.x + wid.x` and checks the end.
    pub(crate) fn grid(&self, count: usize) -> [usize; 3] {
        let most = self.bind.caps().max_groups as usize;
        if count <= most {
            return [count, 1, 1];
        }
        let rows = count.div_ceil(most);
        [count.div_ceil(rows), rows, 1]
    }
}
