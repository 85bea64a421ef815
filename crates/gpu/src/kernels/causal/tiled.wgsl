// A workgroup takes a tile of queries, tokens and heads that share keys, over a part of the keys, a tile of them at a time. Thread
// (row, column) of its 16 x 16 has the queries row + 16 A and the keys column + 16 B, and so its share of the weights is a vector.
const SIDE = 16u;

var<workgroup> stage: array<vec4<f32>, STAGE>;
var<workgroup> partial: array<f32, QUERIES * SIDE>;
// Where the keys of the tile are, marked with FRESH those that are not in the cache yet.
var<workgroup> sources: array<u32, KEYS>;
var<workgroup> tokens: vec2<u32>;

// Where a row of what is staged keeps its vector c. Rows that threads read together fall into different banks.
fn staged(row: u32, c: u32) -> u32 {
    return row * DEPTH + (c ^ ((row >> SWIZZLE) & (DEPTH - 1u)));
}

fn total(v: vec4<f32>) -> f32 {
    return (v.x + v.y) + (v.z + v.w);
}

fn key_at(source: u32, c: u32) -> vec4<f32> {
    if source >= FRESH {
        return as_stored(load_k(source - FRESH, c));
    }
    return load_keys(source, c);
}

fn value_at(source: u32, c: u32) -> vec4<f32> {
    if source >= FRESH {
        return as_stored(load_v(source - FRESH, c));
    }
    return load_values(source, c);
}

@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    // Eight columns by four rows to each 32 threads: what they read of one operand is contiguous and mostly shared.
    let column = (lane & 7u) | ((lane >> 2u) & 8u);
    let row = ((lane >> 3u) & 3u) | ((lane >> 4u) & 12u);
    let part = wid.x;
    let head = wid.y / TILES;
    let first = wid.y % TILES * QUERIES;
    let batch = wid.z;
    if lane == 0u {
        tokens = extent(batch);
    }
    let found = workgroupUniformLoad(&tokens);
    let past = found.x;
    let length = found.y;
    let all = select(past + length, 0u, length == 0u);
    let begin = part * p.part_keys;
    if begin >= all && part > 0u {
        return;
    }
    // The last query's own key is the last that counts.
    var end = min(min(begin + p.part_keys, all), past + (first + QUERIES - 1u) / GROUP + 1u);
    if first >= length * GROUP {
        end = begin;
    }

    // New tokens go to the cache with the tile that has the first of their heads.
    if part == 0u {
        let earliest = (first + GROUP - 1u) / GROUP;
        let next = min((first + QUERIES + GROUP - 1u) / GROUP, length);
        for (var i = lane; earliest < next && i < (next - earliest) * ROW; i += WG_X) {
            let token = earliest + i / ROW;
            let given = given_at(batch, head, token);
            let stored = stored_at(batch, head, past + token);
            store_keys(stored, i % ROW, load_k(given, i % ROW));
            store_values(stored, i % ROW, load_v(given, i % ROW));
        }
    }

//#each A
    let query#A = first + row + 16u * #Au;
    let seen#A = past + query#A / GROUP + 1u;
    var top#A = LOWEST;
    var sum#A = 0.0;
//#each C
    var acc#A_#C = vec4(0.0);
//#done
//#done
    // What this thread stages: a vector of every STEP-th row.
    let lane_r = lane / DEPTH;
    let lane_c = lane % DEPTH;

    for (var keys = begin; keys < end; keys += KEYS) {
        workgroupBarrier();
        if lane < KEYS {
            let key = min(keys + lane, end - 1u);
            if key < past {
                sources[lane] = stored_at(batch, head, key);
            } else {
                sources[lane] = FRESH + given_at(batch, head, key - past);
            }
        }
        workgroupBarrier();
//#each A B
        var s#A#B = vec4(0.0);
//#done
        // What is staged next is on its way to registers while what is staged now is multiplied.
        for (var depth = 0u; depth < ROW + DEPTH; depth += DEPTH) {
            let c = depth + lane_c;
//#each Q
            var next_q#Q = vec4(0.0);
//#done
//#each K
            var next_k#K = vec4(0.0);
//#done
            if c < ROW {
//#each Q
                let r#Q = min(first + lane_r + #Qu * STEP, p.time * GROUP - 1u);
                let q_at#Q = (batch * p.time + r#Q / GROUP) * HEADS + head * GROUP + r#Q % GROUP;
                next_q#Q = load_q(q_at#Q * HEAD, c);
//#done
//#each K
                next_k#K = key_at(sources[min(lane_r + #Ku * STEP, KEYS - 1u)], c);
//#done
            }
            if depth > 0u {
                for (var c = 0u; c < DEPTH; c++) {
//#each A
                    let q#A = stage[staged(row + 16u * #Au, c)];
//#done
//#each B
                    let k#B = stage[staged(QUERIES + column + 16u * #Bu, c)];
//#done
//#each A B
                    s#A#B = fma(q#A, k#B, s#A#B);
//#done
                }
            }
            workgroupBarrier();
//#each Q
            if lane_r + #Qu * STEP < QUERIES {
                stage[staged(lane_r + #Qu * STEP, lane_c)] = next_q#Q;
            }
//#done
//#each K
            if lane_r + #Ku * STEP < KEYS {
                stage[staged(QUERIES + lane_r + #Ku * STEP, lane_c)] = next_k#K;
            }
//#done
            workgroupBarrier();
        }

//#each B
        let key#B = keys + column + 16u * #Bu;
//#done
//#each A
        var high#A = LOWEST;
//#each B
        let shows#A#B = key#B < min(end, seen#A);
        let x#A#B = select(LOWEST, total(s#A#B) * p.scale, shows#A#B);
        high#A = max(high#A, x#A#B);
//#done
        partial[(row + 16u * #Au) * SIDE + column] = high#A;
//#done
        workgroupBarrier();
        // All threads of a row find the same largest score, and so the same factors.
//#each A
        high#A = top#A;
        for (var n = 0u; n < SIDE; n += 4u) {
            let at = (row + 16u * #Au) * SIDE + n;
            high#A = max(high#A, max(max(partial[at], partial[at + 1u]), max(partial[at + 2u], partial[at + 3u])));
        }
        let shrink#A = exp2(top#A - high#A);
        top#A = high#A;
        // A key that is not seen has no weight, even where all keys so far are such.
//#each B
        let w#A#B = select(0.0, exp2(x#A#B - high#A), shows#A#B);
//#done
        sum#A = sum#A * shrink#A + ((w#A0 + w#A1) + (w#A2 + w#A3));
//#each C
        acc#A_#C *= shrink#A;
//#done
        stage[(row + 16u * #Au) * SIDE + column] = vec4(w#A0, w#A1, w#A2, w#A3);
//#done

        // Vector n of a query's weights is for the keys n, n + 16, n + 32, n + 48.
        for (var block = 0u; block < SIDE + BLOCK; block += BLOCK) {
//#each V
            var next_v#V = vec4(0.0);
            let n#V = lane + #Vu * WG_X;
            let value_row#V = n#V / VALUE_ROW;
            let value_key#V = block + value_row#V / 4u + 16u * (value_row#V % 4u);
            // What lies past the end may be anything, and no weight makes a NaN vanish.
            if block < SIDE && n#V < VALUE_BLOCK && keys + value_key#V < end && n#V % VALUE_ROW < ROW {
                next_v#V = value_at(sources[value_key#V], n#V % VALUE_ROW);
            }
//#done
            if block > 0u {
                for (var n = 0u; n < BLOCK; n++) {
//#each A
                    let w#A = stage[(row + 16u * #Au) * SIDE + block - BLOCK + n];
//#done
                    let at = WEIGHTS + 4u * n * VALUE_ROW + column;
//#each C
//#each B
                    let v#C_#B = stage[at + #Bu * VALUE_ROW + 16u * #Cu];
//#done
//#each A
                    acc#A_#C = fma(vec4(w#A.x), v#C_0, acc#A_#C);
                    acc#A_#C = fma(vec4(w#A.y), v#C_1, acc#A_#C);
                    acc#A_#C = fma(vec4(w#A.z), v#C_2, acc#A_#C);
                    acc#A_#C = fma(vec4(w#A.w), v#C_3, acc#A_#C);
//#done
//#done
                }
            }
            workgroupBarrier();
//#each V
            if n#V < VALUE_BLOCK {
                stage[WEIGHTS + n#V] = next_v#V;
            }
//#done
            workgroupBarrier();
        }
    }

    workgroupBarrier();
//#each A
    partial[(row + 16u * #Au) * SIDE + column] = sum#A;
//#done
    workgroupBarrier();
//#each A
    let token#A = query#A / GROUP;
    if token#A < p.time {
        var whole = 0.0;
        for (var n = 0u; n < SIDE; n++) {
            whole += partial[(row + 16u * #Au) * SIDE + n];
        }
        let at = (batch * p.time + token#A) * HEADS + head * GROUP + query#A % GROUP;
//#if PARTS
        let into = (at * p.count + part) * (ROW + 1u);
        if token#A < length && column == 0u {
            parts[into] = vec4(top#A, whole, 0.0, 0.0);
        }
//#endif
//#each C
        let c#C = column + 16u * #Cu;
        if c#C < ROW {
//#if PARTS
            if token#A < length {
                parts[into + 1u + c#C] = acc#A_#C;
            }
//#else
            store_y(at * HEAD, c#C, select(vec4(0.0), acc#A_#C / whole, token#A < length));
//#endif
        }
//#done
    }
//#done
}
