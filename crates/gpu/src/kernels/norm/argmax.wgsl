struct Reduced {
    top: f32,
    index: u32,
}

// The index of no element; of equal elements the lower index wins, so it loses against all.
const NONE = 0xffffffffu;

fn combine(a: Reduced, b: Reduced) -> Reduced {
    if b.top > a.top || (b.top == a.top && b.index < a.index) {
        return b;
    }
    return a;
}

// Elements come in rising order, and no comparison with a NaN holds.
fn consider(best: Reduced, value: f32, index: u32) -> Reduced {
    if value > best.top {
        return Reduced(value, index);
    }
    return best;
}

@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = row_of(wid, groups, lane);
    // Below every number but negative infinity: a row of nothing else gives 0.
    var best = Reduced(bitcast<f32>(0xff800000u), NONE);
    for (var i = row.member; i < p.loads; i += ROW_LANES) {
        let v = x[row.at + i];
//#if VECTORS
        best = consider(best, v.x, 4u * i);
        best = consider(best, v.y, 4u * i + 1u);
        best = consider(best, v.z, 4u * i + 2u);
        best = consider(best, v.w, 4u * i + 3u);
//#else
        best = consider(best, v, i);
//#endif
    }
    best = row_reduce(best, lane);
    if row.real && row.member == 0u {
        y[row.index] = select(i32(best.index), 0, best.index == NONE);
    }
}
