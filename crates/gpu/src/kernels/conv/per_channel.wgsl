// An odd pitch puts the same tap of all channels into different banks.
const TAPS_PITCH: u32 = TAPS | 1u;
var<workgroup> taps: array<f32, WG_X * TAPS_PITCH>;

fn pixel(origin: u32, padded: u32) -> f32 {
    // What lies in the padding before wraps to a large number.
    let column = padded - p.pad_left;
    if column < p.width {
        return x[origin + column * p.channels_in];
    }
    return 0.0;
}

@compute @workgroup_size(WG_X, WG_Y)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = linear_id(wid, groups);
    let first_channel = group % p.blocks * WG_X;
    for (var i = thread; i < WG_X * TAPS; i += WG_X * WG_Y) {
        let at = first_channel * TAPS + i;
        if at < p.channels_out * TAPS {
            taps[i / TAPS * TAPS_PITCH + i % TAPS] = w[at];
        }
    }
    workgroupBarrier();
    let channel = first_channel + lane.x;
    if channel >= p.channels_out {
        return;
    }
    $TAKE_TAPS
    let first_unit = group / p.blocks * REPEATS * WG_Y + lane.y;
    for (var repeat = 0u; repeat < REPEATS; repeat++) {
        let unit = first_unit + repeat * WG_Y;
        if unit >= p.units {
            break;
        }
        let first = unit % p.line_units * PIXELS;
        let line_out = unit / p.line_units;
        let row = line_out % p.height_out * STRIDE_Y;
        let column = first * STRIDE_X;
        let batch = line_out / p.height_out;
        let start = batch * p.height * p.width * p.channels_in + channel / p.group_out;
        var sum0 = 0.0;
        var sum1 = 0.0;
        var sum2 = 0.0;
        var sum3 = 0.0;
        $LINES
        let count = p.width_out - first;
        let to = (line_out * p.width_out + first) * p.channels_out + channel;
        $STORE
    }
}
