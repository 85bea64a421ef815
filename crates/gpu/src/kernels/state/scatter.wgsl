@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear_id(wid, groups) * WG_X + lane;
    if i < p.len {
        let v = value[i];
        // A negative number is a large one.
        let row = u32(rows[i / p.row]);
        if row < p.count {
//#if HALVES
            state[row * p.row + i % p.row] = to_halves(bitcast<vec4<f32>>(v));
//#else
            state[row * p.row + i % p.row] = v;
//#endif
        }
//#if COPY
        y[i] = v;
//#endif
    }
}
