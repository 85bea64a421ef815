var<workgroup> partial: array<f32, PARTIALS>;
//#if PART
var<workgroup> expert_here: u32;
//#endif

// The expert of a slot, counted from the first whose rows are here; those before it become large numbers.
fn expert_of(slot: u32) -> u32 {
    // Bad ids come back as errors; none may lead out of the stack until then.
    return min(u32(ids[slot]), EXPERTS - 1u) - FIRST_EXPERT;
}

//#each M
fn low_at#M(at: u32) -> $VECTOR {
//#if SAME_PLANES
    return low[at];
//#else
    return low#M[at];
//#endif
}
//#if HIGH

fn high_at#M(at: u32) -> u32 {
//#if SAME_PLANES
    return high[at];
//#else
    return high#M[at];
//#endif
}
//#endif
//#if BLOCKS

fn scales_at#M(row: u32, group: u32) -> vec3<u32> {
//#if SAME_PLANES
    return scale_words(row, group);
//#else
    return scale_words#M(row, group);
//#endif
}
//#endif
//#done

// Some vectors of each row, on their way.
struct Fetched {
//#each U M R
    q#U#M_#R: $VECTOR,
//#if HIGH
    h#U#M_#R: u32,
//#endif
//#if BLOCKS
    s#U#M_#R: vec3<u32>,
//#endif
//#done
}

fn fetch(first: u32, slot: u32, c: u32) -> Fetched {
    var f: Fetched;
//#each U
    {
        let i = min(c + #Uu * WG_X, VECTORS - 1u);
//#if SUMMED
        let at = i % ROW_VECTORS;
        let start = expert_of(slot + i / ROW_VECTORS) * EXPERT_ROWS;
//#else
        let at = i;
        let start = expert_of(slot) * EXPERT_ROWS;
//#endif
//#each M R
        {
            // Rows past the last are the last once more; they are not stored.
            let row = start + MATRIX#M + min(first + #Ru, N - 1u);
            f.q#U#M_#R = low_at#M(row * p.low_stride + at);
//#if HIGH
            f.h#U#M_#R = high_at#M(row * p.high_stride + at / HIGH_VECTORS);
//#endif
//#if BLOCKS
            f.s#U#M_#R = scales_at#M(row, at * QUADS / $GROUP_QUADSu);
//#endif
        }
//#done
    }
//#done
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
    let number = linear_id(wid, groups);
    let unit = number / BLOCKS_OF_ROWS;
    let first = number % BLOCKS_OF_ROWS * ROWS;
    if unit >= p.units {
        return;
    }
//#if SUMMED
    let slot = unit * USED;
    let x_start = slot * ROW_VECTORS * QUADS;
//#else
    let slot = unit;
    let x_start = slot / SHARE * ROW_VECTORS * QUADS;
//#endif
//#if PART
    if lane == 0u {
        expert_here = expert_of(slot);
    }
    // Other parts have the rows of other experts.
    if workgroupUniformLoad(&expert_here) >= OWN_EXPERTS {
        return;
    }
//#endif
//#each M R
    var sum#M_#R = 0.0;
//#done
    // The next vectors are on their way while these are multiplied.
    var next = fetch(first, slot, lane);
    for (var start = lane; start < VECTORS; start += PIECES * WG_X) {
        let f = next;
        next = fetch(first, slot, start + PIECES * WG_X);
//#each U
        if start + #Uu * WG_X < VECTORS {
            let i = start + #Uu * WG_X;
//#if SUMMED
            let c = i % ROW_VECTORS;
            let weight = weights[slot + i / ROW_VECTORS];
//#else
            let c = i;
//#endif
//#if BLOCKS
            let group = c * QUADS / $GROUP_QUADSu;
//#each M R
            let s#M_#R = scale_of(f.s#U#M_#R, group);
//#done
//#endif
//#each M R
            var part#M_#R = 0.0;
//#done
//#each Q
            {
                let v = x[x_start + i * QUADS + #Qu];
//#each M R
                {
//#if F32
                    let w = f.q#U#M_#R;
//#endif
//#if F16
                    let w = from_f16(vec2<u32>(f.q#U#M_#R[#Qu * 2u], f.q#U#M_#R[#Qu * 2u + 1u]));
//#endif
//#if BF16
                    let w = from_bf16(vec2<u32>(f.q#U#M_#R[#Qu * 2u], f.q#U#M_#R[#Qu * 2u + 1u]));
//#endif
//#if BLOCKS
//#if BITS8
                    let w = levels(f.q#U#M_#R[#Qu]);
//#else
                    var word = (f.q#U#M_#R >> (4u * #Qu)) & 0x0f0f0f0fu;
//#if BITS5
                    word |= ((f.h#U#M_#R >> ((c * QUADS + #Qu) & 7u)) & 0x01010101u) << 4u;
//#endif
//#if BITS6
                    word |= ((f.h#U#M_#R >> (2u * ((c * QUADS + #Qu) & 3u))) & 0x03030303u) << 4u;
//#endif
//#if MINS
                    // Taken off each level: off the sum of a group, most digits would cancel.
                    let w = fma(vec4<f32>(s#M_#R.x), levels(word), vec4<f32>(-s#M_#R.y));
//#else
                    let w = levels(word);
//#endif
//#endif
//#endif
                    part#M_#R = fma(w.x, v.x, fma(w.y, v.y, fma(w.z, v.z, fma(w.w, v.w, part#M_#R))));
                }
//#done
            }
//#done
//#each M R
//#if SUMMED
//#if SCALE_LAST
            sum#M_#R = fma(weight * s#M_#R.x, part#M_#R, sum#M_#R);
//#else
            sum#M_#R = fma(weight, part#M_#R, sum#M_#R);
//#endif
//#else
//#if SCALE_LAST
            sum#M_#R = fma(s#M_#R.x, part#M_#R, sum#M_#R);
//#else
            sum#M_#R += part#M_#R;
//#endif
//#endif
//#done
        }
//#done
    }
//#if SUBGROUPS
//#each M R
    let all#M_#R = subgroupAdd(sum#M_#R);
//#done
    if place == 0u {
        var at = subgroup * OUTPUTS;
//#each M R
        partial[at] = all#M_#R;
        at += 1u;
//#done
    }
    workgroupBarrier();
    let shares = subgroups;
//#else
    var at = lane * OUTPUTS;
//#each M R
    partial[at] = sum#M_#R;
    at += 1u;
//#done
    for (var half = WG_X / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        for (var i = lane; i < half * OUTPUTS; i += WG_X) {
            partial[i] += partial[half * OUTPUTS + i];
        }
    }
    workgroupBarrier();
    let shares = 1u;
//#endif
    if lane < ROWS && first + lane < N {
        var sum = 0.0;
        for (var i = 0u; i < shares; i += 1u) {
            sum += partial[i * OUTPUTS + lane];
        }
        let to = unit * N + first + lane;
//#if AT_ONCE
        var up = 0.0;
        for (var i = 0u; i < shares; i += 1u) {
            up += partial[i * OUTPUTS + ROWS + lane];
        }
        y[to] = joined(sum, up);
//#else
        y[to] = finish(sum, to);
//#endif
    }
}
