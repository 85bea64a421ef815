//! Convolutions over time in which every output channel sees all input channels, and their transposes: matrix products of windows
//! with the kernel.
//!
//! ```text
//! one tap, or few windows, or matrix units   the windows are written down (not those of one tap) and multiplied as rows are
//! else                                       windowed: tiles of windows, gathered on the way, by tiles of the kernel
//! ```
//!
//! A transposed convolution of stride s is a convolution too: the frames before it was cut are rows of s frames each, and row u sees
//! the input's frames from u back, whatever its phase. So nothing is added up in memory.

use super::epilogue;
use crate::kernels::attention::unroll::{count, unroll};
use crate::kernels::common::{Factor, GRID, HALF, HALVES, Loads};
use crate::kernels::matmul;
use crate::program::{Bind, Compiled, Matrix, Operand};
use crate::weights::padded_channels;
use mynah_device::DeviceError;
use mynah_graph::{Conv1d, ConvTranspose1d, Epilogue};

/// Threads along each side of a workgroup.
const SIDE: usize = 16;
/// Rows that a workgroup's threads load at a time, four threads a row.
const LOADED: usize = 64;
/// Workgroups below which smaller tiles keep more of a GPU busy.
const FEW: usize = 256;
/// Threads of the kernel that writes windows down, each with eight elements.
const THREADS: usize = 256;
/// Bytes of windows that are worth writing down.
const WRITTEN: usize = 512 << 20;

/// The windows of a convolution.
#[derive(Clone, Copy, Debug)]
struct Windows {
    batch: usize,
    /// Frames of a sequence.
    time: usize,
    /// Channels of a frame, and those that a window has of it.
    channels: usize,
    padded: usize,
    taps: usize,
    /// Windows of a sequence.
    count: usize,
    stride: usize,
    dilation: usize,
    /// Frames of padding before the first.
    left: usize,
}

impl Windows {
    fn rows(&self) -> usize {
        self.batch * self.count
    }

    /// Elements of a window.
    fn row(&self) -> usize {
        self.taps * self.padded
    }

    /// Whether windows are frames, one after the other.
    fn are_frames(&self) -> bool {
        self.taps == 1
            && self.stride == 1
            && self.left == 0
            && self.count == self.time
            && self.padded == self.channels
    }

    fn declare(&self, k: &mut crate::program::Kernel<'_, '_>) {
        k.param("rows", self.rows()).param("time", self.time).param("left", self.left);
        k.param("count", self.count);
        k.source().flag("WHOLE", self.padded == self.channels);
        for (name, value) in [
            ("CHANNELS", self.channels),
            ("TAP_QUADS", self.padded / 4),
            ("QUADS", self.row() / 4),
            ("STRIDE", self.stride),
            ("DILATION", self.dilation),
        ] {
            k.source().constant(name, value as u32);
        }
        k.source().include(GRID);
        k.source().include(include_str!("windows.wgsl"));
    }

    fn element(&self) -> &'static str {
        if self.padded == self.channels { "vec4<f32>" } else { "f32" }
    }
}

/// What is multiplied and where sums go.
struct Product<'b> {
    x: Operand,
    matrix: Matrix,
    windows: Windows,
    epilogue: &'b Epilogue,
    /// Columns of a window's result.
    columns: usize,
    /// Rows of the kernel from one tap to the next, for a transposed convolution.
    tap_rows: Option<usize>,
    /// Frames that are cut off before the first, and those that remain, of `columns / channels` frames a window.
    cut: usize,
    frames: usize,
    channels: usize,
}

fn sizes(bind: &Bind<'_>) -> Result<([usize; 3], [usize; 2], Matrix), DeviceError> {
    let lacks = |what: &str| bind.unsupported(what.to_owned());
    let &[batch, time, channels] = bind.shape(0).dims() else {
        return Err(lacks("operands of another rank"));
    };
    let &[_, frames, outputs] = bind.out_shape().dims() else {
        return Err(lacks("operands of another rank"));
    };
    let matrix = bind.matrix(1)?.ok_or_else(|| lacks("a kernel that was computed"))?;
    Ok(([batch, time, channels], [frames, outputs], matrix))
}

/// `x [B, T, Ci]` with a kernel `[Co, Ci, K]` → `[B, T', Co]`.
pub(in crate::kernels) fn compile_over_time(bind: &Bind<'_>, c: &Conv1d) -> Result<Compiled, DeviceError> {
    let ([batch, time, channels], [frames, outputs], matrix) = sizes(bind)?;
    let windows = Windows {
        batch,
        time,
        channels,
        padded: padded_channels(channels),
        taps: bind.shape(1).last(),
        count: frames,
        stride: c.stride,
        dilation: c.dilation,
        left: c.pad[0],
    };
    let rows = [windows.rows(), outputs, windows.row()];
    let factor = Factor::Weight(matrix.clone());
    let x = bind.operand(0)?;
    if windows.row() > 0 && windows.are_frames() {
        let (halves, scratch) = (false, 0);
        return matmul::of_rows(bind, &matmul::Rows { x, factor, halves, scratch }, &c.epilogue, rows);
    }
    if let Some(halves) = matmul::suits_rows(bind, &factor, &c.epilogue, rows) {
        let bytes = (rows[0] * rows[2] * if halves { 2 } else { 4 }) as u64;
        if bytes <= (WRITTEN as u64).min(bind.caps().max_binding) {
            let written = Operand::scratch(0, bytes);
            let unfold = write(bind, &x, &windows, &written, halves)?;
            let scratch = bytes.next_multiple_of(256);
            let written = matmul::Rows { x: written, factor, halves, scratch };
            let mut compiled = matmul::of_rows(bind, &written, &c.epilogue, rows)?;
            compiled.name = format!("conv1d {}", compiled.name);
            compiled.scratch = compiled.scratch.max(scratch);
            compiled.dispatches.insert(0, unfold);
            return Ok(compiled);
        }
    }
    let product = Product {
        x,
        matrix,
        windows,
        epilogue: &c.epilogue,
        columns: outputs,
        tap_rows: None,
        cut: 0,
        frames,
        channels: outputs,
    };
    windowed(bind, &product, "conv1d")
}

/// `x [B, T, Ci]` with a kernel `[Ci, Co, K]` → `[B, (T − 1)·stride + K − left − right, Co]`.
pub(in crate::kernels) fn compile_transposed(
    bind: &Bind<'_>,
    c: &ConvTranspose1d,
) -> Result<Compiled, DeviceError> {
    let ([batch, time, channels], [frames, outputs], matrix) = sizes(bind)?;
    let taps = bind.shape(1).last();
    // Frames that a window's columns reach back to.
    let back = taps.div_ceil(c.stride);
    let windows = Windows {
        batch,
        time,
        channels,
        padded: padded_channels(channels),
        taps: back,
        // Of `stride` frames each, as many as the last that is wanted needs.
        count: (c.pad[0] + frames).div_ceil(c.stride),
        stride: 1,
        dilation: 1,
        left: back - 1,
    };
    let product = Product {
        x: bind.operand(0)?,
        matrix,
        windows,
        epilogue: &c.epilogue,
        columns: c.stride * outputs,
        tap_rows: Some(c.stride * outputs),
        cut: c.pad[0],
        frames,
        channels: outputs,
    };
    windowed(bind, &product, "conv_transpose1d")
}

/// Writes windows down one after the other, as halves or as they are.
fn write(
    bind: &Bind<'_>,
    x: &Operand,
    windows: &Windows,
    written: &Operand,
    halves: bool,
) -> Result<crate::program::Dispatch, DeviceError> {
    let mut k = bind.kernel();
    k.bind("x", windows.element(), x);
    k.bind("written", if halves { "vec4<u32>" } else { "vec4<f32>" }, written);
    windows.declare(&mut k);
    // Eight elements a thread as halves, four as they are.
    let each = if halves { 2 } else { 1 };
    let len = windows.rows() * windows.row() / 4 / each;
    k.param("len", len);
    k.source().flag("HALVES", halves);
    if halves {
        k.source().include(HALF);
        k.source().include(HALVES);
    }
    let groups = k.grid(len.div_ceil(THREADS));
    k.finish("windows", include_str!("unfold.wgsl"), [THREADS as u32, 1, 1], groups)
}

/// Sums of a thread, windows by columns.
fn tile(rows: usize, columns: usize) -> [usize; 2] {
    let groups = |[tall, wide]: [usize; 2]| rows.div_ceil(SIDE * tall) * columns.div_ceil(SIDE * wide);
    let sizes = [[8, 4], [4, 4], [2, 4], [2, 2]];
    let large = sizes.into_iter().find(|&size| groups(size) >= FEW && rows > SIDE * (size[0] - 1));
    large.unwrap_or([2, 2])
}

fn windowed(bind: &Bind<'_>, product: &Product<'_>, name: &str) -> Result<Compiled, DeviceError> {
    let windows = &product.windows;
    let [tall, wide] = tile(windows.rows(), product.columns);
    let (x_rows, w_rows) = (SIDE * tall, SIDE * wide);
    let blocks = product.columns.div_ceil(w_rows);
    let tiles = blocks * windows.rows().div_ceil(x_rows);
    let mut k = bind.kernel();
    k.bind("x", windows.element(), &product.x);
    let factor = Factor::Weight(product.matrix.clone());
    factor.declare(&mut k, Loads::Quads);
    k.bind("y", "f32", &bind.target()?);
    windows.declare(&mut k);
    epilogue::attach(&mut k, bind, product.epilogue)?;
    let phases = product.columns / product.channels.max(1);
    let source = k.source();
    source.flag("TRANSPOSED", product.tap_rows.is_some());
    for (name, value) in [
        ("X_ROWS", x_rows),
        ("W_ROWS", w_rows),
        ("COLUMNS", product.columns),
        ("BLOCKS_OF_COLUMNS", blocks),
        ("TILES", tiles),
        ("TAPS", windows.taps),
        ("TAP_ROWS", product.tap_rows.unwrap_or(0)),
        ("KERNEL_ROWS", product.matrix.n),
        ("PHASES", phases),
        ("CUT", product.cut),
        ("FRAMES", product.frames),
        ("OUTPUTS", product.channels),
    ] {
        source.constant(name, value as u32);
    }
    let symbols = [
        count("T", tall),
        count("W", wide),
        count("S", x_rows.div_ceil(LOADED)),
        count("L", w_rows.div_ceil(LOADED)),
        count("Q", 4),
    ];
    let code = unroll(include_str!("windowed.wgsl"), &symbols);
    let grid = k.grid(tiles);
    let name = format!("{name} {} {x_rows}x{w_rows}", factor.name());
    Ok(Compiled::one(k.finish(name, &code, [(SIDE * SIDE) as u32, 1, 1], grid)?))
}
