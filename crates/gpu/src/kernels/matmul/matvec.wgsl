var<workgroup> partial: array<f32, SHARES * OUTPUTS>;

// Some vectors of each row, on their way.
struct Fetched {
//#each u PIECES
//#each r ROWS
    q#u_#r: $VECTOR,
//#if HIGH
    h#u_#r: u32,
//#endif
//#if BLOCKS
    s#u_#r: vec3<u32>,
//#endif
//#end
//#end
}

fn fetch(first: u32, c: u32) -> Fetched {
    var f: Fetched;
//#each u PIECES
    {
        let at = min(c + #uu * WG_X, p.vectors - 1u);
//#each r ROWS
        {
            // Rows past the last are the last once more; they are not stored.
            let row = min(first + #ru, p.n - 1u);
            f.q#u_#r = low[row * p.low_stride + at];
//#if HIGH
            f.h#u_#r = high[row * p.high_stride + at / HIGH_VECTORS];
//#endif
//#if BLOCKS
            f.s#u_#r = scale_words(row, at * QUADS / $GROUP_QUADSu);
//#endif
        }
//#end
    }
//#end
    return f;
}

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
//#each r ROWS
//#each m COLUMNS
    var sum#r_#m = 0.0;
//#end
//#end
    // What the result is combined with is fetched beforehand: behind the sums, all would wait for it.
    let column = first + lane % ROWS;
    let stores = lane < OUTPUTS && column < p.n;
    let at = result_at(lane / ROWS, column);
    var last = Carried();
    if stores {
        last = carried(at, column);
    }
    // The next vectors are on their way while these are multiplied.
    var next = fetch(first, lane);
//#if NORM
//#each m COLUMNS
//#if SUBGROUPS
    let moments#m = moments_of(#mu, lane, Member(subgroup, place, subgroups));
//#else
    let moments#m = moments_of(#mu, lane, Member(0u, 0u, 1u));
//#endif
//#end
//#endif
//#if ONCE
    let start = lane;
    {
        let f = next;
//#else
    for (var start = lane; start < p.vectors; start += PIECES * WG_X) {
        let f = next;
        next = fetch(first, start + PIECES * WG_X);
//#endif
//#each u PIECES
        if start + #uu * WG_X < p.vectors {
            let c = start + #uu * WG_X;
//#if BLOCKS
            let group = c * QUADS / $GROUP_QUADSu;
//#each r ROWS
            let s#r = scale_of(f.s#u_#r, group);
//#end
//#endif
//#each m COLUMNS
//#each r ROWS
            var part#r_#m = 0.0;
//#end
//#end
//#each n QUADS
            {
//#each m COLUMNS
//#if NORM
                let x#m = normed(#mu, c * QUADS + #nu, moments#m);
//#else
                let x#m = operand(#mu, c * QUADS + #nu);
//#endif
//#end
//#each r ROWS
                {
//#if F32
                    let v = f.q#u_#r;
//#endif
//#if F16
                    let v = from_f16(vec2<u32>(f.q#u_#r[#nu * 2u], f.q#u_#r[#nu * 2u + 1u]));
//#endif
//#if BF16
                    let v = from_bf16(vec2<u32>(f.q#u_#r[#nu * 2u], f.q#u_#r[#nu * 2u + 1u]));
//#endif
//#if BLOCKS
//#if BITS8
                    let v = levels(f.q#u_#r[#nu]);
//#else
                    var word = (f.q#u_#r >> (4u * #nu)) & 0x0f0f0f0fu;
//#if BITS5
                    word |= ((f.h#u_#r >> ((c * QUADS + #nu) & 7u)) & 0x01010101u) << 4u;
//#endif
//#if BITS6
                    word |= ((f.h#u_#r >> (2u * ((c * QUADS + #nu) & 3u))) & 0x03030303u) << 4u;
//#endif
//#if MINS
                    // Taken off each level: off the sum of a group, most digits would cancel.
                    let v = fma(vec4<f32>(s#r.x), levels(word), vec4<f32>(-s#r.y));
//#else
                    let v = levels(word);
//#endif
//#endif
//#endif
//#each m COLUMNS
                    part#r_#m = fma(v.x, x#m.x, fma(v.y, x#m.y, fma(v.z, x#m.z, fma(v.w, x#m.w, part#r_#m))));
//#end
                }
//#end
            }
//#end
//#each m COLUMNS
//#each r ROWS
//#if SCALE_LAST
            sum#r_#m = fma(s#r.x, part#r_#m, sum#r_#m);
//#else
            sum#r_#m += part#r_#m;
//#endif
//#end
//#end
        }
//#end
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
    if stores {
        var sum = 0.0;
        for (var i = 0u; i < shares; i += 1u) {
            sum += partial[i * OUTPUTS + lane];
        }
        y[at] = $KEPT(finish_with(sum, last));
    }
}
