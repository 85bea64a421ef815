// Parts of a query's attention: the largest score of each and the sum of weights that belong to it; what they add up to when the
// weights of all are counted from the largest of all.
struct Reduced {
    top: f32,
    sum: f32,
}

const LOWEST = -3e38;

fn combine(a: Reduced, b: Reduced) -> Reduced {
    let top = max(a.top, b.top);
    return Reduced(top, a.sum * exp2(a.top - top) + b.sum * exp2(b.top - top));
}

const LINES: u32 = WG_X / COLUMNS;
var<workgroup> factors: array<f32, WG_X>;
var<workgroup> lines: array<vec4<f32>, WG_X>;

@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let id = linear_id(wid, groups);
    let row = min(id / p.slices, p.rows - 1u);
    let column = id % p.slices * COLUMNS + lane % COLUMNS;
    let line = lane / COLUMNS;
    let token = row / HEADS;
    let batch = token / p.time;
    let past = min(u32(max(sequences[2u * batch], 0)), p.capacity);
    let length = min(u32(max(sequences[2u * batch + 1u], 0)), p.capacity - past);
    let real = token % p.time < length;
    // Parts past the last token were not computed.
    let live = min((past + length + p.part_keys - 1u) / p.part_keys, p.count);

    var mine = Reduced(LOWEST, 0.0);
    if real && lane < live {
        let found = parts[(row * p.count + lane) * (ROW + 1u)];
        mine = Reduced(found.x, found.y);
    }
    let all = row_reduce(mine, lane);
    factors[lane] = exp2(mine.top - all.top) / all.sum;
    workgroupBarrier();
    var sum = vec4(0.0);
    if real && column < ROW {
        for (var part = line; part < live; part += LINES) {
            // A part in which the query sees no key has zeros.
            sum += factors[part] * parts[(row * p.count + part) * (ROW + 1u) + 1u + column];
        }
    }
    lines[lane] = sum;
    workgroupBarrier();
    if line == 0u && column < ROW && id / p.slices < p.rows {
        for (var n = 1u; n < LINES; n++) {
            sum += lines[n * COLUMNS + lane];
        }
//#if GATED
        // A query's gate lies beside it.
        let v = both[(2u * row + 1u) * HEAD + column];
        sum *= $GATE;
//#endif
//#if VECTORS
        y[row * HEAD + column] = sum;
//#else
        for (var n = 0u; n < 4u; n++) {
            if 4u * column + n < HEAD {
                y[row * HEAD + 4u * column + n] = sum[n];
            }
        }
//#endif
    }
}
