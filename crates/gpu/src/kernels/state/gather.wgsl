@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear_id(wid, groups) * WG_X + lane;
    if i < p.len {
        // A negative number is a large one.
        let row = u32(rows[i / p.row]);
        var v = $TYPE(0u);
        if row < p.count {
//#if HALVES
            v = bitcast<vec4<u32>>(from_halves(state[row * p.row + i % p.row]));
//#else
            v = state[row * p.row + i % p.row];
//#endif
        }
        y[i] = v;
    }
}
