var<workgroup> partial: array<f32, PARTIALS>;

// A vector of each row, on its way.
struct Fetched {
//#each r ROWS
    q#r: $VECTOR,
//#if BITS5
    h#r: u32,
//#endif
//#if BITS6
    h#r_0: u32,
    h#r_1: u32,
//#endif
//#if BLOCKS
//#each g GROUPS
    s#r_#g: vec3<u32>,
//#end
//#endif
//#end
}

fn fetch(first: u32, c: u32) -> Fetched {
    var f: Fetched;
//#each r ROWS
    {
        // Rows past the last are the last once more; they are not stored.
        let row = min(first + #ru, p.n - 1u);
        f.q#r = low[row * p.low_stride + c];
//#if BITS5
        f.h#r = high[row * p.high_stride + c];
//#endif
//#if BITS6
        f.h#r_0 = high[row * p.high_stride + 2u * c];
        f.h#r_1 = high[row * p.high_stride + 2u * c + 1u];
//#endif
//#if BLOCKS
//#each g GROUPS
        f.s#r_#g = scale_words(row, c * VECTOR_QUADS / $GROUP_QUADSu + #gu);
//#end
//#endif
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
    let last = p.vectors - 1u;
    // The next vectors are on their way while these are multiplied. The loop's body is there once: most of it runs only a few
    // times, and instructions have to be fetched as well.
    var next = fetch(first, min(lane, last));
    for (var c = lane; c < p.vectors; c += WG_X) {
        let f = next;
        next = fetch(first, min(c + WG_X, last));
//#each g GROUPS
        {
//#if BLOCKS
            let group = c * VECTOR_QUADS / $GROUP_QUADSu + #gu;
//#each r ROWS
            let s#r = scale_of(f.s#r_#g, group);
//#end
//#endif
//#each m COLUMNS
//#each r ROWS
            var part#r_#m = 0.0;
//#end
//#end
//#each w WORDS
//#each n NIBBLES
            {
                let j = c * VECTOR_QUADS + (#gu * WORDS + #wu) * NIBBLES + #nu;
//#each m COLUMNS
                let x#m = x[#mu * p.x_stride + j];
//#end
//#each r ROWS
                {
//#if F32
                    let v = f.q#r;
//#endif
//#if F16
                    let v = from_f16(vec2<u32>(f.q#r[#wu * 2u], f.q#r[#wu * 2u + 1u]));
//#endif
//#if BF16
                    let v = from_bf16(vec2<u32>(f.q#r[#wu * 2u], f.q#r[#wu * 2u + 1u]));
//#endif
//#if BLOCKS
//#if BITS8
                    let v = levels(f.q#r[#wu]);
//#else
                    var word = (f.q#r[#gu * WORDS + #wu] >> (4u * #nu)) & 0x0f0f0f0fu;
//#if BITS5
                    word |= ((f.h#r >> (2u * #wu + #nu)) & 0x01010101u) << 4u;
//#endif
//#if BITS6
                    word |= ((f.h#r_#g >> (4u * #wu + 2u * #nu)) & 0x03030303u) << 4u;
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
                    part#r_#m += dot(v, x#m);
//#end
                }
//#end
            }
//#end
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
