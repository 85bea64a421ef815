// Four elements of a window: those of a tap from channel 4 c on, zeros in the padding.
fn window_quad(first: u32, sequence: u32, quad: u32) -> vec4<f32> {
    let tap = quad / TAP_QUADS;
    let c = quad % TAP_QUADS;
    // What lies in the padding before wraps to a large number.
    let frame = first + tap * DILATION;
    if frame >= p.time {
        return vec4<f32>(0.0);
    }
//#if WHOLE
    return x[(sequence + frame) * TAP_QUADS + c];
//#else
    let at = (sequence + frame) * CHANNELS;
    var v = vec4<f32>(0.0);
    for (var i = 0u; i < 4u; i += 1u) {
        if 4u * c + i < CHANNELS {
            v[i] = x[at + 4u * c + i];
        }
    }
    return v;
//#endif
}

// The first frame of a window, and where its sequence begins.
fn window_at(row: u32) -> vec2<u32> {
    return vec2<u32>(row % p.count * STRIDE - p.left, row / p.count * p.time);
}
