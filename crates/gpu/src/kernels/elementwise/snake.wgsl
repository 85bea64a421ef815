@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear_id(wid, groups) * WG_X + lane;
    if i < p.len {
        let a = alpha[i % p.width];
        let v = a * x[i];
        y[i] = x[i] + $WAVE / (a + $TYPE(1e-9));
    }
}
