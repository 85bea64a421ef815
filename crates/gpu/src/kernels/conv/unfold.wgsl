@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear_id(wid, groups) * WG_X + lane;
    if i < p.len {
//#if HALVES
        let at = window_at(2u * i / QUADS);
        let quad = 2u * i % QUADS;
        written[i] = halves(window_quad(at.x, at.y, quad), window_quad(at.x, at.y, quad + 1u));
//#else
        let at = window_at(i / QUADS);
        written[i] = window_quad(at.x, at.y, i % QUADS);
//#endif
    }
}
