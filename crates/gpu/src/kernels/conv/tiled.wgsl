const TILE: u32 = 64u;
// Terms taken at a time.
const DEPTH: u32 = 16u;
// One more than a tile, so that the terms of a pixel lie in different banks.
const PITCH: u32 = TILE + 1u;
var<workgroup> pixels: array<f32, DEPTH * PITCH>;
var<workgroup> kernels: array<f32, DEPTH * PITCH>;

// Where the kernel's corner lies on the input for an output pixel, before the padding is taken off: row, column, batch; the
// batch of a pixel past the end is past the end.
fn place(pixel: u32) -> vec3<u32> {
    let line = pixel / p.width_out;
    let batch = line / p.height_out;
    return vec3(line % p.height_out * STRIDE_Y, pixel % p.width_out * STRIDE_X, select(NOWHERE, batch, pixel < p.pixels));
}

const NOWHERE: u32 = 0xffffffffu;

fn element(place: vec3<u32>, tap: u32, channel: u32, alive: bool) -> f32 {
    // What lies in the padding before wraps to a large number.
    let row = place.x + tap / KERNEL_X - p.pad_top;
    let column = place.y + tap % KERNEL_X - p.pad_left;
    if alive && place.z != NOWHERE && row < p.height && column < p.width {
        return x[((place.z * p.height + row) * p.width + column) * p.channels_in + channel];
    }
    return 0.0;
}

fn weight(across: u32, group: u32, block: u32, tap: u32, channel: u32, alive: bool) -> f32 {
    let out = block + across;
    if alive && out < p.group_out {
        let within = channel - group * p.group_in;
        return w[((group * p.group_out + out) * p.group_in + within) * TAPS + tap];
    }
    return 0.0;
}

fn store(sum: f32, pixel: u32, out: u32, group: u32) {
    if pixel < p.pixels && out < p.group_out {
        let channel = group * p.group_out + out;
        let at = pixel * p.channels_out + channel;
        y[at] = finish(sum, at, channel);
    }
}

@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let unit = linear_id(wid, groups);
    // A folded grid may have more workgroups than there are tiles: those gather nothing and store nothing.
    let live = unit < p.count;
    let block = unit % p.tiles * TILE;
    let rest = unit / p.tiles;
    let pixel_tiles = (p.pixels + TILE - 1u) / TILE;
    let first_pixel = select(p.pixels, rest % pixel_tiles * TILE, live);
    let group = rest / pixel_tiles;
    // A thread gathers one term of several pixels, and sums for several others.
    let term = thread % DEPTH;
    let across = thread / DEPTH;
    let slot = term * PITCH + across;
    let down = thread / 16u;
    let along = thread % 16u;
    $PLACES
    $SUMS
    for (var first = 0u; first < p.terms; first += DEPTH) {
        let number = first + term;
        let alive = live && number < p.terms;
        let tap = number / p.group_in;
        let ci = group * p.group_in + number % p.group_in;
        $GATHER
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            $PRODUCTS
        }
        workgroupBarrier();
    }
    $STORE
}
