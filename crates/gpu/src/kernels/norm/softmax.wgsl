// The largest element so far, and the sum of exp(element - largest).
alias Reduced = vec2<f32>;

// The largest element of none: finite, so that differences of two of it are zero, and a row of negative infinities gives
// 0 / 0 as it should.
const LOWEST = -0x1.fffffep+127;

// exp of what is not positive, within an ulp or two: the language lets exp be off by as many more as its argument is large,
// and one rounded factor would scale a whole row.
fn exp_down(x: $T) -> $T {
    let n = round(x * 1.44269504);
    // The first constant has nine bits, so that its product with n is exact.
    let r = (x - n * 0.693359375) + n * 2.12194440e-4;
    var sum = r * (1.0 / 5040.0) + (1.0 / 720.0);
    sum = sum * r + (1.0 / 120.0);
    sum = sum * r + (1.0 / 24.0);
    sum = sum * r + (1.0 / 6.0);
    sum = sum * r + 0.5;
    sum = sum * r + 1.0;
    sum = sum * r + 1.0;
    // Selected, not clamped: a NaN must come through, and a comparison with it does not hold.
    return select(ldexp(sum, $INT(n)), $T(), x < $T(-87.0));
}

fn exp_one(x: f32) -> f32 {
    return exp_down($T(x))$FIRST;
}

fn combine(a: Reduced, b: Reduced) -> Reduced {
    let top = max(a.x, b.x);
    return Reduced(top, a.y * exp_one(a.x - top) + b.y * exp_one(b.x - top));
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
        sum = sum * exp_one(top - higher) + total(exp_down(v - higher));
        top = higher;
    }
    let all = row_reduce(Reduced(top, sum), lane);
    if row.real {
//#if LOG
        let shift = log(all.y);
//#endif
        for (var i = row.member; i < p.loads; i += ROW_LANES) {
            let d = x[row.at + i] - all.x;
//#if LOG
            y[row.at + i] = d - shift;
//#else
            y[row.at + i] = exp_down(d) / all.y;
//#endif
        }
    }
}
