//! Chooses a convolution's code and cuts its output rows into tasks.

use super::general::general_row;
use super::geometry::{Axis, Geometry};
use super::single::{SUMS, depthwise_row, spread_row};
use crate::epilogue::{BoundEpilogue, Finish};
use crate::memory::{Output, ScratchNeed};
use crate::program::{Bind, Fault, Kernel, Launch, Operand, Target};
use crate::simd::Isa;
use crate::simd::tile::TileShape;
use crate::weights::ConvKernel;
use mynah_device::DeviceError;
use mynah_graph::{Conv2d, Epilogue};
use std::sync::Arc;

struct Conv {
    x: Operand,
    kernel: Arc<ConvKernel>,
    out: Target,
    epilogue: BoundEpilogue,
    geometry: Geometry,
    code: Code,
    /// Output positions along the width that make a task.
    stretch: usize,
    isa: Isa,
}

/// How an output row is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    /// Every channel on its own.
    Depthwise,
    /// All output channels from the only input channel.
    Spread,
    /// Any groups.
    General,
}

impl Code {
    fn of(kernel: &ConvKernel, geometry: &Geometry) -> Self {
        match (kernel.inputs, geometry.groups) {
            (1, groups) if groups == geometry.channels => Self::Depthwise,
            (1, 1) => Self::Spread,
            _ => Self::General,
        }
    }
}

/// What a task works on: a stretch of one output row.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) geometry: &'a Geometry,
    pub(super) x: &'a [f32],
    pub(super) kernel: &'a ConvKernel,
    pub(super) tiles: TileShape,
    pub(super) finish: Finish<'a>,
    pub(super) out: Output<'a, f32>,
    pub(super) batch: usize,
    /// Position along the height.
    pub(super) at: usize,
    /// First and last position along the width.
    pub(super) from: usize,
    pub(super) to: usize,
}

/// Compiles a 2-D convolution.
pub(crate) fn compile_2d(bind: &Bind<'_>, conv: &Conv2d) -> Result<Box<dyn Kernel>, DeviceError> {
    let kernel = bind.conv_kernel(1)?;
    let (x, y) = (bind.shape(0), bind.out_shape());
    let axis = |dim: usize, pad: [usize; 2]| Axis {
        input: x.dims()[dim],
        output: y.dims()[dim],
        kernel: kernel.extent[dim - 1],
        stride: conv.stride[dim - 1],
        pad: pad[0],
    };
    let geometry = Geometry {
        batch: x.dims()[0],
        height: axis(1, conv.pad_height),
        width: axis(2, conv.pad_width),
        inputs: x.last(),
        channels: y.last(),
        groups: conv.groups,
    };
    compile(bind, &conv.epilogue, kernel, geometry)
}

/// Compiles a depthwise convolution over time.
pub(crate) fn compile_depthwise(
    bind: &Bind<'_>,
    pad: [usize; 2],
    epilogue: &Epilogue,
) -> Result<Box<dyn Kernel>, DeviceError> {
    let kernel = bind.conv_kernel(1)?;
    let (x, y) = (bind.shape(0), bind.out_shape());
    let taps = kernel.extent[1];
    let geometry = Geometry {
        batch: x.dims()[0],
        height: Axis { input: 1, output: 1, kernel: 1, stride: 1, pad: 0 },
        width: Axis { input: x.dims()[1], output: y.dims()[1], kernel: taps, stride: 1, pad: pad[0] },
        inputs: x.last(),
        channels: y.last(),
        groups: y.last(),
    };
    compile(bind, epilogue, kernel, geometry)
}

fn compile(
    bind: &Bind<'_>,
    epilogue: &Epilogue,
    kernel: Arc<ConvKernel>,
    geometry: Geometry,
) -> Result<Box<dyn Kernel>, DeviceError> {
    if kernel.channels != geometry.channels || kernel.inputs * geometry.groups != geometry.inputs {
        return Err(bind.misplaced("the prepared weight has another shape"));
    }
    let work = kernel.extent[0] * kernel.extent[1] * kernel.inputs * kernel.channels;
    Ok(Box::new(Conv {
        x: bind.operand(0)?,
        code: Code::of(&kernel, &geometry),
        kernel,
        out: bind.target()?,
        epilogue: BoundEpilogue::new(bind, epilogue, 2)?,
        geometry,
        // About 200 000 multiply-adds a task, whole blocks of positions.
        stretch: (200_000 / work.max(1)).next_multiple_of(4).clamp(1, geometry.width.output.max(1)),
        isa: bind.isa(),
    }))
}

impl Kernel for Conv {
    fn name(&self) -> String {
        let kind = match self.code {
            Code::Depthwise => "depthwise",
            Code::Spread => "spread",
            Code::General => "direct",
        };
        format!("conv-{kind}/{}", self.isa.name())
    }

    fn scratch(&self) -> ScratchNeed {
        let tiles = TileShape::of(self.isa);
        let k = self.kernel.taps() * self.kernel.inputs;
        let general = k * (tiles.tallest() + tiles.panel) + tiles.tallest() * tiles.panel;
        ScratchNeed { shared: 0, private: 4 * if self.code == Code::General { general } else { SUMS } }
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let (g, x, finish) = (&self.geometry, launch.read(&self.x), self.epilogue.at(launch));
        let (out, tiles) = (launch.output(&self.out), TileShape::of(self.isa));
        let stretches = g.width.output.div_ceil(self.stretch);
        launch.pool().run(g.batch * g.height.output * stretches, &|task| {
            let (line, from) = (task.index / stretches, task.index % stretches * self.stretch);
            let (batch, at) = (line / g.height.output, line % g.height.output);
            let to = g.width.output.min(from + self.stretch);
            let row = Row { geometry: g, x, kernel: &self.kernel, tiles, finish, out, batch, at, from, to };
            let private = launch.scratch().private(task.thread);
            // SAFETY: the private part belongs to this thread, stretches are disjoint, the isa was checked by the
            // device.
            unsafe {
                let scratch = private.slice(0..private.len());
                match self.code {
                    Code::Depthwise => depthwise_row(self.isa, &row, scratch),
                    Code::Spread => spread_row(self.isa, &row, scratch),
                    Code::General => general_row(self.isa, &row, scratch),
                }
            }
        })?;
        Ok(())
    }
}
