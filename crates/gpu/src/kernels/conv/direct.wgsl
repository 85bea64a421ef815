@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear_id(wid, groups) * WG_X + lane;
    if i >= p.len {
        return;
    }
    let channel = i % p.channels_out;
    let pixel = i / p.channels_out;
    let column = pixel % p.width_out * STRIDE_X;
    let line = pixel / p.width_out;
    let row = line % p.height_out * STRIDE_Y;
    let batch = line / p.height_out;
    let first_in = channel / p.group_out * p.group_in;
    var sum = 0.0;
    for (var ky = 0u; ky < KERNEL_Y; ky++) {
        // What lies in the padding before wraps to a large number.
        let iy = row + ky - p.pad_top;
        if iy >= p.height {
            continue;
        }
        for (var kx = 0u; kx < KERNEL_X; kx++) {
            let ix = column + kx - p.pad_left;
            if ix >= p.width {
                continue;
            }
            let origin = ((batch * p.height + iy) * p.width + ix) * p.channels_in + first_in;
            var at = (channel * p.group_in * KERNEL_Y + ky) * KERNEL_X + kx;
            for (var ci = 0u; ci < p.group_in; ci++) {
                sum += x[origin + ci] * w[at];
                at += KERNEL_Y * KERNEL_X;
            }
        }
    }
    y[i] = finish(sum, i, channel);
}
