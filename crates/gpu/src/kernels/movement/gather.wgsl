@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear_id(wid, groups) * WG_X + lane;
    let row = i / p.quads;
    let quad = i % p.quads;
    if row < p.count {
        let id = clamp(ids[row], 0, i32(p.rows) - 1);
//#if COMPUTED
        if id != ids[row] {
            report(ids[row]);
        }
//#endif
//#if PART
        // Below the first of the part's own rows this is a number beyond all rows.
        let own = u32(id) - p.first;
        if own >= p.own {
            return;
        }
//#else
        let own = u32(id);
//#endif
        let v = decode_quad(own, quad);
//#if WHOLE
        y[i] = v;
//#else
        for (var j = 0u; j < min(4u, p.width - 4u * quad); j += 1u) {
            y[row * p.width + 4u * quad + j] = v[j];
        }
//#endif
    }
}
