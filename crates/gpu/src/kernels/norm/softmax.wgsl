// The largest element so far, and the sum of exp(element - largest).
alias Reduced = vec2<f32>;

// The largest element of none: finite, so that differences of two of it are zero, and a row of negative infinities gives
// 0 / 0 as it should.
const LOWEST = -0x1.fffffep+127;

fn combine(a: Reduced, b: Reduced) -> Reduced {
    let top = max(a.x, b.x);
    return Reduced(top, a.y * exp(a.x - top) + b.y * exp(b.x - top));
}

@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = row_of(wid, groups, lane);
    // max may drop a NaN; the sum does not, and every element is divided by it.
    var top = LOWEST;
    var sum = 0.0;
    for (var i = row.member; i < p.loads; i += ROW_LANES) {
        let v = x[row.at + i];
        let higher = max(top, largest(v));
        sum = sum * exp(top - higher) + total(exp(v - higher));
        top = higher;
    }
    let all = row_reduce(Reduced(top, sum), lane);
    if row.real {
//#if LOG
        let shift = log(all.y);
//#else
        let factor = 1.0 / all.y;
//#endif
        for (var i = row.member; i < p.loads; i += ROW_LANES) {
            let d = x[row.at + i] - all.x;
//#if LOG
            y[row.at + i] = d - shift;
//#else
            y[row.at + i] = exp(d) * factor;
//#endif
        }
    }
}
