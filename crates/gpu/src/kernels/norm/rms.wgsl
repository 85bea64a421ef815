alias Reduced = f32;

fn combine(a: Reduced, b: Reduced) -> Reduced {
    return a + b;
}

@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = row_of(wid, groups, lane);
    var sum = $T();
    for (var i = row.member; i < p.loads; i += ROW_LANES) {
        let v = x[row.at + i];
        sum += v * v;
    }
//#if MEAN
    let inverse = inverseSqrt(row_reduce(total(sum), lane) / p.width + p.eps);
//#else
    let inverse = inverseSqrt(row_reduce(total(sum), lane) + p.eps);
//#endif
    if row.real {
        for (var i = row.member; i < p.loads; i += ROW_LANES) {
//#if GAIN
            y[row.at + i] = $KEPT(x[row.at + i] * inverse * gain[i]);
//#else
            y[row.at + i] = $KEPT(x[row.at + i] * inverse);
//#endif
        }
    }
}
