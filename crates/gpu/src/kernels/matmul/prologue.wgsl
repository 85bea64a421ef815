//#if CENTRED
// A thread among the subgroups of its workgroup.
struct Member {
    subgroup: u32,
    place: u32,
    subgroups: u32,
}

//#if SUBGROUPS
// Two sums of each row, in places of their own: nothing waits before it overwrites another.
var<workgroup> moment_sums: array<vec2<f32>, 2u * ROWS_OF_X * SHARES>;
//#else
var<workgroup> moment_sums: array<vec2<f32>, SHARES>;
//#endif

// Sum `which` of all threads, the same in all of them. All must call it.
fn sum_of_all(mine: vec2<f32>, lane: u32, member: Member, which: u32) -> vec2<f32> {
//#if SUBGROUPS
    let some = subgroupAdd(mine);
    if member.place == 0u {
        moment_sums[which * SHARES + member.subgroup] = some;
    }
    workgroupBarrier();
    var all = vec2<f32>();
    for (var i = 0u; i < member.subgroups; i++) {
        all += moment_sums[which * SHARES + i];
    }
//#else
    moment_sums[lane] = mine;
    for (var half = WG_X / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            moment_sums[lane] += moment_sums[lane + half];
        }
    }
    workgroupBarrier();
    let all = moment_sums[0];
    // The next sum overwrites what slower threads are still reading here.
    workgroupBarrier();
//#endif
    return all;
}

// What a row is normalised with: what is taken off, what the rest is multiplied by, and what rounding left of the first.
fn moments_of(row: u32, lane: u32, member: Member) -> vec3<f32> {
    var sum = vec4<f32>();
    for (var i = lane; i < p.x_stride; i += WG_X) {
        sum += x[row * p.x_stride + i];
    }
    let mean = sum_of_all(vec2<f32>(dot(sum, vec4<f32>(1.0)), 0.0), lane, member, 2u * row).x / p.width;
    // What rounding the mean left shows as a mean of the differences, and is taken out of both.
    var first = vec4<f32>();
    var second = vec4<f32>();
    for (var i = lane; i < p.x_stride; i += WG_X) {
        let d = x[row * p.x_stride + i] - mean;
        first += d;
        second += d * d;
    }
    let sums = vec2<f32>(dot(first, vec4<f32>(1.0)), dot(second, vec4<f32>(1.0)));
    let moments = sum_of_all(sums, lane, member, 2u * row + 1u) / p.width;
    let variance = max(moments.y - moments.x * moments.x, 0.0);
    return vec3<f32>(mean, inverseSqrt(variance + p.eps), moments.x);
}

fn centred(v: vec4<f32>, at: u32, moments: vec3<f32>) -> vec4<f32> {
    return ((v - moments.x) - moments.z) * moments.y * gain[at] + shift[at];
}

//#endif
// Four elements of a row of the operand, of a norm those before it.
fn operand(row: u32, at: u32) -> vec4<f32> {
//#if GATED
    let v = gate[row * p.x_stride + at];
    return x[row * p.x_stride + at] * $GATE;
//#else
    return x[row * p.x_stride + at];
//#endif
}
