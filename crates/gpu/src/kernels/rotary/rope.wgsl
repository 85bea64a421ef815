@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear_id(wid, groups) * WG_X + lane;
    if i >= p.count {
        return;
    }
    let head = i / p.pairs;
    let pair = i % p.pairs;
    let start = head * p.width;
    if pair >= p.half {
        let at = 2u * pair;
        y[start + at] = x[start + at];
        if at + 1u < p.width {
            y[start + at + 1u] = x[start + at + 1u];
        }
        return;
    }
    let d = turned_by(pair, positions[head / p.heads]);
    let a = x[start + pair];
    let b = x[start + pair + p.half];
    y[start + pair] = a * d.x - b * d.y;
    y[start + pair + p.half] = b * d.x + a * d.y;
}
