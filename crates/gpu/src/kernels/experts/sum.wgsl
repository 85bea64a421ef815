@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear_id(wid, groups) * WG_X + lane;
    if i < p.len {
        let slot = i / WIDTH * USED;
        var sum = $T(0.0);
        for (var j = 0u; j < USED; j++) {
            sum += weights[slot + j] * products[(slot + j) * WIDTH + i % WIDTH];
        }
        y[i] = sum;
    }
}
