@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear_id(wid, groups) * WG_X + lane;
    if i < p.count {
//#if WEIGHT
        let row = i / p.octs;
        let quad = 2u * (i % p.octs);
//#if FACTORS
        packed[i] = halves(decode_quad(row, quad) * factors[row], decode_quad(row, quad + 1u) * factors[row]);
//#else
        packed[i] = halves(decode_quad(row, quad), decode_quad(row, quad + 1u));
//#endif
//#else
        packed[i] = halves(x[2u * i], x[2u * i + 1u]);
//#endif
    }
}
