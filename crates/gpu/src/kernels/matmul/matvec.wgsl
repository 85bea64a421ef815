var<workgroup> partial: array<f32, PARTIALS>;

@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
//#if SUBGROUPS
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) place: u32,
    @builtin(num_subgroups) subgroups: u32,
//#endif
) {
    let first = linear_id(wid, groups) * ROWS;
    // Rows past the last are the last once more; they are not stored.
//#each r ROWS
    let row#r = min(first + #ru, p.n - 1u);
//#each m COLUMNS
    var sum#r_#m = 0.0;
//#end
//#end
    var c = lane;
    // Several vectors are fetched before the first is used: memory is slow to answer, and answers many at a time.
    for (; c + (AHEAD - 1u) * WG_X < p.vectors; c += AHEAD * WG_X) {
$MANY
    }
    for (; c < p.vectors; c += WG_X) {
$ONE
    }
//#if SUBGROUPS
//#each r ROWS
//#each m COLUMNS
    let all#r_#m = subgroupAdd(sum#r_#m);
//#end
//#end
    if place == 0u {
//#each r ROWS
//#each m COLUMNS
        partial[subgroup * OUTPUTS + #ru + ROWS * #mu] = all#r_#m;
//#end
//#end
    }
    workgroupBarrier();
    let shares = subgroups;
//#else
//#each r ROWS
//#each m COLUMNS
    partial[lane * OUTPUTS + #ru + ROWS * #mu] = sum#r_#m;
//#end
//#end
    for (var half = WG_X / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        for (var i = lane; i < half * OUTPUTS; i += WG_X) {
            partial[i] += partial[half * OUTPUTS + i];
        }
    }
    workgroupBarrier();
    let shares = 1u;
//#endif
    if lane < OUTPUTS {
        var sum = 0.0;
        for (var i = 0u; i < shares; i += 1u) {
            sum += partial[i * OUTPUTS + lane];
        }
        let column = first + lane % ROWS;
        let at = lane / ROWS * p.n + column;
        if column < p.n {
            y[at] = finish(sum, at, column);
        }
    }
}
