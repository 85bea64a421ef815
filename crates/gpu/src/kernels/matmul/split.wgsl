@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear_id(wid, groups) * WG_X + lane;
    if i < p.count {
        var sum = 0.0;
        for (var split = 0u; split < p.splits; split += 1u) {
            sum += parts[split * p.count + i];
        }
        let column = i % p.n;
        let at = result_at(i / p.n, column);
        y[at] = $KEPT(finish(sum, at, column));
    }
}
