// A workgroup takes a tile of queries of one head over all keys of their sequence, a tile of keys at a time. Thread (row, column) of
// its 16 x 16 has the queries row + 16 A and the keys column + 16 B, and so its share of the weights is a vector.
const SIDE = 16u;
// Stands for the score of a key that is not seen. Finite, so that differences of two of it are zero.
const LOWEST = -3e38;

var<workgroup> stage: array<vec4<f32>, STAGE>;
var<workgroup> partial: array<f32, QUERIES * SIDE>;
var<workgroup> length_of: u32;

//#each X
//#if VECTORS
fn load_#X(row: u32, c: u32) -> vec4<f32> {
    return #X[row + c];
}
//#else
fn load_#X(row: u32, c: u32) -> vec4<f32> {
    let n = vec4(4u * c) + vec4(0u, 1u, 2u, 3u);
    let at = min(n, vec4(HEAD - 1u)) + row;
    return select(vec4(0.0), vec4(#X[at.x], #X[at.y], #X[at.z], #X[at.w]), n < vec4(HEAD));
}
//#endif
//#done

// Where a row of what is staged keeps its vector c. Rows that threads read together fall into different banks.
fn staged(row: u32, c: u32) -> u32 {
    return row * DEPTH + (c ^ ((row >> SWIZZLE) & (DEPTH - 1u)));
}

fn total(v: vec4<f32>) -> f32 {
    return (v.x + v.y) + (v.z + v.w);
}

@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    // Eight columns by four rows to each 32 threads: what they read of one operand is contiguous and mostly shared.
    let column = (lane & 7u) | ((lane >> 2u) & 8u);
    let row = ((lane >> 3u) & 3u) | ((lane >> 4u) & 12u);
    let first = wid.x * QUERIES;
    let head = wid.y * HEAD;
    let clip = wid.z * p.queries;
    let key_clip = wid.z * p.keys;

    if lane == 0u {
        length_of = u32(clamp(lengths[wid.z], 0, i32(p.keys)));
    }
    let length = workgroupUniformLoad(&length_of);
    var end = length;
    // Queries that are the keys' own frames end where these do.
    let present = select(p.queries, length, p.queries == p.keys);
    if first >= present {
        end = 0u;
    }

//#each A
    let query#A = first + row + 16u * #Au;
    var top#A = LOWEST;
    var sum#A = 0.0;
//#each C
    var acc#A_#C = vec4(0.0);
//#done
//#done
    // Rows of the stage: queries, keys.
    let at_k = QUERIES + column;
    // What this thread stages: a vector of every STEP-th row.
    let lane_r = lane / DEPTH;
    let lane_c = lane % DEPTH;

    for (var keys = 0u; keys < end; keys += KEYS) {
//#each A B
        var s#A#B = vec4(0.0);
//#done
        // The last tile often has few keys: half of the pairs are left out where none of them is a key that counts.
        let whole_tile = end - keys > KEYS / 2u;
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
                next_q#Q = load_q((clip + min(first + lane_r + #Qu * STEP, p.queries - 1u)) * WIDTH + head, c);
//#done
//#each K
                next_k#K = load_k((key_clip + min(keys + lane_r + #Ku * STEP, p.keys - 1u)) * WIDTH + head, c);
//#done
            }
            if depth > 0u && whole_tile {
                for (var c = 0u; c < DEPTH; c++) {
//#each A
                    let q#A = stage[staged(row + 16u * #Au, c)];
//#done
//#each B
                    let k#B = stage[staged(at_k + 16u * #Bu, c)];
//#done
//#each A B
                    s#A#B = fma(q#A, k#B, s#A#B);
//#done
                }
            } else if depth > 0u {
                for (var c = 0u; c < DEPTH; c++) {
//#each A
                    let q#A = stage[staged(row + 16u * #Au, c)];
//#done
//#each H
                    let k#H = stage[staged(at_k + 16u * #Hu, c)];
//#done
//#each A H
                    s#A#H = fma(q#A, k#H, s#A#H);
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
        let x#A#B = select(LOWEST, total(s#A#B) * p.scale, key#B < length);
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
        let w#A#B = select(0.0, exp2(x#A#B - high#A), key#B < length);
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
            // What lies past the length may be anything, and no weight makes a NaN vanish.
            var next_v#V = vec4(0.0);
            let n#V = lane + #Vu * WG_X;
            let value_row#V = n#V / VALUE_ROW;
            let value_key#V = keys + block + value_row#V / 4u + 16u * (value_row#V % 4u);
            if block < SIDE && value_key#V < length && n#V % VALUE_ROW < ROW {
                next_v#V = load_v((key_clip + value_key#V) * WIDTH + head, n#V % VALUE_ROW);
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

//#each A
    partial[(row + 16u * #Au) * SIDE + column] = sum#A;
//#done
    workgroupBarrier();
//#each A
    if query#A < p.queries {
        var whole = 0.0;
        for (var n = 0u; n < SIDE; n++) {
            whole += partial[(row + 16u * #Au) * SIDE + n];
        }
        let at = (clip + query#A) * WIDTH + head;
//#each C
        let out#C = select(vec4(0.0), acc#A_#C / whole, length > 0u && query#A < present);
        let c#C = column + 16u * #Cu;
//#if VECTORS
        if c#C < ROW {
            y[at + c#C] = $KEPT(out#C);
        }
//#else
        for (var n = 0u; n < 4u; n++) {
            if 4u * c#C + n < HEAD {
                y[at + 4u * c#C + n] = $KEPT(out#C[n]);
            }
        }
//#endif
//#done
    }
//#done
}
