alias Reduced = vec2<f32>;

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
        sum += x[row.at + i];
    }
    let mean = row_reduce(Reduced(total(sum), 0.0), lane).x / p.width;
    // What rounding the mean left shows as a mean of the differences, and is taken out of both.
    var first = $T();
    var second = $T();
    for (var i = row.member; i < p.loads; i += ROW_LANES) {
        let d = x[row.at + i] - mean;
        first += d;
        second += d * d;
    }
    let moments = row_reduce(Reduced(total(first), total(second)), lane) / p.width;
    let variance = max(moments.y - moments.x * moments.x, 0.0);
    let inverse = inverseSqrt(variance + p.eps);
    if row.real {
        for (var i = row.member; i < p.loads; i += ROW_LANES) {
            y[row.at + i] = $KEPT(((x[row.at + i] - mean) - moments.x) * inverse * gain[i] + bias[i]);
        }
    }
}
