//#if !ALONE
// Of each subgroup, or each thread: its parts of the sums, then of the squares.
var<workgroup> partial: array<f32, SHARES * PARTIALS>;

//#endif
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
//#if WHOLE
        let at = c + #uu * TEAM;
//#else
        let at = min(c + #uu * TEAM, p.vectors - 1u);
//#endif
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
//#if TEAMS
    // Subgroups side by side are a team, whatever threads the device makes them of.
    let team = subgroup / TEAM_SUBGROUPS;
    let member = subgroup % TEAM_SUBGROUPS * LANES + place;
    let first = (linear_id(wid, groups) * (WG_X / TEAM) + team) * ROWS;
//#else
    let member = lane;
    let first = linear_id(wid, groups) * ROWS;
//#endif
//#each r ROWS
//#each m COLUMNS
    var sum#r_#m = 0.0;
//#end
//#end
//#if LATE
//#each m COLUMNS
    var square#m = 0.0;
//#end
//#endif
    // What the result is combined with is fetched beforehand: behind the sums, all would wait for it.
    let column = first + member % ROWS;
    let stores = member < OUTPUTS && column < p.n;
    let at = result_at(member / ROWS, column);
    var last = Carried();
    if stores {
        last = carried(at, column);
    }
    // The next vectors are on their way while these are multiplied.
    var next = fetch(first, member);
//#if CENTRED
//#if SUBGROUPS
    let own = Member(subgroup, place, subgroups);
//#else
    let own = Member(0u, 0u, 1u);
//#endif
//#each m COLUMNS
    let moments#m = moments_of(#mu, lane, own);
//#end
//#endif
//#if ONCE
    let start = member;
    {
        let f = next;
//#else
    for (var start = member; start < p.vectors; start += PIECES * TEAM) {
        let f = next;
        next = fetch(first, start + PIECES * TEAM);
//#endif
//#if EARLY
        // All operands are on their way before the first is used.
//#each u PIECES
//#each n QUADS
//#if WHOLE
        let c#u_#n = (start + #uu * TEAM) * QUADS + #nu;
//#else
        let c#u_#n = min(start + #uu * TEAM, p.vectors - 1u) * QUADS + #nu;
//#endif
//#each m COLUMNS
        let o#u_#n_#m = operand(#mu, c#u_#n);
//#end
//#if LATE
        let g#u_#n = gain[c#u_#n];
//#endif
//#end
//#end
//#endif
//#each u PIECES
//#if WHOLE
        {
//#else
        if start + #uu * TEAM < p.vectors {
//#endif
            let c = start + #uu * TEAM;
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
//#if LATE
//#if !EARLY
                let g#u_#n = gain[c * QUADS + #nu];
//#endif
//#endif
//#each m COLUMNS
//#if EARLY
                let raw#m = o#u_#n_#m;
//#else
                let raw#m = operand(#mu, c * QUADS + #nu);
//#endif
//#if LATE
                square#m += dot(raw#m, raw#m);
                let x#m = raw#m * g#u_#n;
//#else
//#if CENTRED
                let x#m = centred(raw#m, c * QUADS + #nu, moments#m);
//#else
                let x#m = raw#m;
//#endif
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
//#each m COLUMNS
//#each r ROWS
    let all#r_#m = subgroupAdd(sum#r_#m);
//#end
//#if LATE
    let all_squares#m = subgroupAdd(square#m);
//#endif
//#end
//#if ALONE
    // A team is a subgroup, which has all there is.
    var sum = 0.0;
//#if LATE
    var squares = 0.0;
//#endif
//#each m COLUMNS
//#each r ROWS
    if place == #ru + ROWS * #mu {
        sum = all#r_#m;
//#if LATE
        squares = all_squares#m;
//#endif
    }
//#end
//#end
    if stores {
//#else
    if place == 0u {
//#each m COLUMNS
//#each r ROWS
        partial[subgroup * PARTIALS + #ru + ROWS * #mu] = all#r_#m;
//#end
//#if LATE
        partial[subgroup * PARTIALS + OUTPUTS + #mu] = all_squares#m;
//#endif
//#end
    }
    workgroupBarrier();
//#if TEAMS
    let share = team * TEAM_SUBGROUPS;
    let end = share + TEAM_SUBGROUPS;
//#else
    let share = 0u;
    let end = subgroups;
//#endif
//#endif
//#else
//#each m COLUMNS
//#each r ROWS
    partial[lane * PARTIALS + #ru + ROWS * #mu] = sum#r_#m;
//#end
//#if LATE
    partial[lane * PARTIALS + OUTPUTS + #mu] = square#m;
//#endif
//#end
    for (var half = WG_X / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        for (var i = lane; i < half * PARTIALS; i += WG_X) {
            partial[i] += partial[half * PARTIALS + i];
        }
    }
    workgroupBarrier();
    let share = 0u;
    let end = 1u;
//#endif
//#if !ALONE
    if stores {
        var sum = 0.0;
        for (var i = share; i < end; i += 1u) {
            sum += partial[i * PARTIALS + member];
        }
//#if LATE
        var squares = 0.0;
        for (var i = share; i < end; i += 1u) {
            squares += partial[i * PARTIALS + OUTPUTS + member / ROWS];
        }
//#endif
//#endif
//#if LATE
        // Dividing by the row's length comes last, so that nothing waits for it.
        sum *= inverseSqrt(squares / p.width + p.eps);
//#endif
        y[at] = $KEPT(finish_with(sum, last));
    }
}
