@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear_id(wid, groups) * WG_X + lane;
    if i < p.len {
        let r2 = i / p.d3;
        let r1 = r2 / p.d2;
        y[i] = x[r1 / p.d1 * p.s0 + r1 % p.d1 * p.s1 + r2 % p.d2 * p.s2 + i % p.d3 * p.s3];
    }
}
