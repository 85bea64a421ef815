@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear_id(wid, groups) * WG_X + lane;
    if i < p.len {
        let v = value[i];
        // The host has checked that all rows fit.
//#if HALVES
        state[p.first * p.row + i] = to_halves(bitcast<vec4<f32>>(v));
//#else
        state[p.first * p.row + i] = v;
//#endif
//#if COPY
        y[i] = v;
//#endif
    }
}
