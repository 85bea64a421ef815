// Taps that are whole windows.
const ROUNDS: u32 = TAPS / FRAMES * FRAMES;

//#if STAGED
const TAPS_PITCH: u32 = TAPS | 1u;
var<workgroup> kernels: array<f32, WG_X * TAPS_PITCH>;

fn kernel(channel: u32, lane: u32, tap: u32) -> f32 {
    return kernels[lane * TAPS_PITCH + tap];
}
//#else
fn kernel(channel: u32, lane: u32, tap: u32) -> f32 {
    return w[channel * TAPS + tap];
}
//#endif

fn frame(start: u32, padded: u32) -> f32 {
    // What lies in the padding before wraps to a large number.
    let t = padded - p.left;
    if t < p.time {
        return x[start + t * p.channels];
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
//#if STAGED
    for (var i = thread; i < WG_X * TAPS; i += WG_X * WG_Y) {
        let at = first_channel * TAPS + i;
        if at < p.channels * TAPS {
            kernels[i / TAPS * TAPS_PITCH + i % TAPS] = w[at];
        }
    }
    workgroupBarrier();
//#endif
    let channel = first_channel + lane.x;
    let chunk = group / p.blocks;
    let batch = chunk / p.chunks;
    let first = (chunk % p.chunks * WG_Y + lane.y) * FRAMES;
    if channel >= p.channels || batch >= p.batch || first >= p.time_out {
        return;
    }
    let start = batch * p.time * p.channels + channel;
    $WINDOW
    for (var tap = 0u; tap < ROUNDS; tap += FRAMES) {
        $ROUND
    }
    $REST
    let to = (batch * p.time_out + first) * p.channels + channel;
    $STORE
}
