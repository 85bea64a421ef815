// A workgroup has some rows of queries that look at the same keys, and a part of these keys. Of each KEYS it first takes the scores,
// four lanes to a key and every 64th key of these, then the sum of values, a thread to a column and every LINES-th key. What a thread
// reads of the cache it asks for before it uses any of it: on its own a workgroup waits far longer than it computes.
var<workgroup> queries: array<vec4<f32>, ROWS * ROW>;
var<workgroup> scores: array<f32, ROWS * KEYS>;
var<workgroup> peaks: array<f32, WG_X>;
var<workgroup> shrinks: array<f32, ROWS>;
var<workgroup> cached: array<u32, KEYS>;
var<workgroup> tokens: vec2<u32>;
//#if SUBGROUPS

fn sum_of_lanes(x: f32, thread: u32) -> f32 {
    let pair = x + subgroupShuffleXor(x, 1u);
    return pair + subgroupShuffleXor(pair, 2u);
}
//#else

fn sum_of_lanes(x: f32, thread: u32) -> f32 {
    peaks[thread] = x;
    workgroupBarrier();
    let first = thread & ~3u;
    let sum = (peaks[first] + peaks[first + 1u]) + (peaks[first + 2u] + peaks[first + 3u]);
    workgroupBarrier();
    return sum;
}
//#endif

//#if HEADS_AT_ONCE

// Of each new token, what its key is multiplied by to be of length one.
var<workgroup> key_units: array<f32, WG_X / PER_ROW>;
var<workgroup> key_squares: array<f32, WG_X>;

// Cosine and sine of each new token's pairs of channels, four to a vector: all that a row needs of its position.
var<workgroup> directions: array<vec2<f32>, NEW * 4u * TURNED>;

// Vector c of a row whose first 2 TURNED vectors turn, the partner of each of the first TURNED being so many further on.
fn partner(c: u32) -> u32 {
    return select(c - TURNED, c + TURNED, c < TURNED);
}

fn turned(c: u32, x: vec4<f32>, other: vec4<f32>, token: u32) -> vec4<f32> {
    let at = 4u * (token * TURNED + select(c - TURNED, c, c < TURNED));
    let d0 = directions[at];
    let d1 = directions[at + 1u];
    let d2 = directions[at + 2u];
    let d3 = directions[at + 3u];
    let sine = vec4(d0.y, d1.y, d2.y, d3.y);
    return x * vec4(d0.x, d1.x, d2.x, d3.x) + other * select(sine, -sine, c < TURNED);
}

fn query(at: u32, c: u32, unit: f32, token: u32) -> vec4<f32> {
    let x = load_q(at, c) * unit * load_q_gain(0u, c);
    if c >= 2u * TURNED {
        return x;
    }
    let other = partner(c);
    return turned(c, x, load_q(at, other) * unit * load_q_gain(0u, other), token);
}

fn new_key(at: u32, c: u32, unit: f32, token: u32) -> vec4<f32> {
    let x = load_k(at, c) * unit * load_k_gain(0u, c);
    if c >= 2u * TURNED {
        return x;
    }
    let other = partner(c);
    return turned(c, x, load_k(at, other) * unit * load_k_gain(0u, other), token);
}
//#endif

@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let part = wid.x;
    let head = wid.y / TILES;
    let tile = wid.y % TILES;
    let batch = wid.z;
    if thread == 0u {
        tokens = extent(batch);
    }
    let found = workgroupUniformLoad(&tokens);
    let past = found.x;
    let length = found.y;
    let all = select(past + length, 0u, length == 0u);
    let begin = part * p.part_keys;
    let end = min(begin + p.part_keys, all);
    if begin >= all && part > 0u {
        return;
    }

    let lane = thread % 4u;
    let column = thread % COLUMNS;
    let line = thread / COLUMNS;
    // The row whose scores this thread makes weights of, PER_ROW threads to a row.
    let own = thread / PER_ROW;
    let member = thread % PER_ROW;
//#if HEADS_AT_ONCE
    let own_row = tile * ROWS + own;
    let own_token = own_row / GROUP;
    let own_real = own < ROWS && own_token < length;
    let own_at = ((batch * p.time + own_token) * HEADS + head * GROUP + own_row % GROUP) * 2u * HEAD;
    var square = 0.0;
    for (var c = member; c < ROW && own_real; c += PER_ROW) {
        let x = load_q(own_at, c);
        square += dot(x, x);
    }
    peaks[thread] = square;
    square = 0.0;
    for (var c = member; c < ROW && own < length; c += PER_ROW) {
        let x = load_k(given_at(batch, head, own), c);
        square += dot(x, x);
    }
    key_squares[thread] = square;
    for (var i = thread; i < NEW * 4u * TURNED; i += WG_X) {
        directions[i] = turned_by(i % (4u * TURNED), positions[batch * p.time + i / (4u * TURNED)]);
    }
    workgroupBarrier();
    var unit = 0.0;
    square = 0.0;
    for (var n = 0u; n < PER_ROW; n++) {
        unit += peaks[own * PER_ROW + n];
        square += key_squares[own * PER_ROW + n];
    }
    unit = inverseSqrt(unit / f32(WIDTH) + p.eps);
    if member == 0u {
        key_units[own] = inverseSqrt(square / f32(WIDTH) + p.eps);
    }
    for (var c = member; c < ROW && own < ROWS; c += PER_ROW) {
        var x = vec4(0.0);
        if own_real {
            x = query(own_at, c, unit, own_token);
        }
        queries[own * ROW + c] = x;
    }
//#else
    for (var i = thread; i < ROWS * ROW; i += WG_X) {
        let row = tile * ROWS + i / ROW;
        let token = row / GROUP;
        var x = vec4(0.0);
        if token < length {
            let at = (batch * p.time + token) * HEADS + head * GROUP + row % GROUP;
            x = load_q(at * HEAD, i % ROW);
        }
        queries[i] = x;
    }
//#endif
    var top = LOWEST;
    var sum = 0.0;
//#each R
    // The keys that a row sees.
    let seen#R = past + (tile * ROWS + #Ru) / GROUP + 1u;
    var acc#R = vec4(0.0);
//#done

    for (var first = begin; first < end; first += KEYS) {
        workgroupBarrier();
        for (var n = thread; n < KEYS && first + n < end; n += WG_X) {
            cached[n] = stored_at(batch, head, first + n);
        }
        workgroupBarrier();
//#each M
        let key#M = first + thread / 4u + 64u * #Mu;
//#each R
        var s#M_#R = 0.0;
//#done
//#done
        // Those in the cache; what a thread fetches past the last of them is the last once more, whose scores are not counted.
        let kept = max(min(first + KEYS, min(end, past)), first) - first;
        if kept > 0u {
//#each M
            let at#M = cached[min(thread / 4u + 64u * #Mu, kept - 1u)];
//#done
            for (var c = lane; c < ROW; c += 4u * FETCHES) {
//#each F M
                let x#M_#F = load_keys(at#M, c + 4u * #Fu);
//#done
//#each F R
                let q#R_#F = queries[#Ru * ROW + c + 4u * #Fu];
//#each M
                s#M_#R += dot(x#M_#F, q#R_#F);
//#done
//#done
            }
        }
//#each M
        if key#M >= past && key#M < end {
            let at = given_at(batch, head, key#M - past);
//#each R
            s#M_#R = 0.0;
//#done
            for (var c = lane; c < ROW; c += 4u) {
//#if HEADS_AT_ONCE
                let x = as_stored(new_key(at, c, key_units[key#M - past], key#M - past));
//#else
                let x = as_stored(load_k(at, c));
//#endif
//#each R
                s#M_#R += dot(x, queries[#Ru * ROW + c]);
//#done
                if tile == 0u {
                    store_keys(cached[thread / 4u + 64u * #Mu], c, x);
                }
            }
        }
//#each R
        s#M_#R = sum_of_lanes(s#M_#R, thread) * p.scale;
        if lane == 0u {
            scores[#Ru * KEYS + thread / 4u + 64u * #Mu] = select(LOWEST, s#M_#R, key#M < min(end, seen#R));
        }
//#done
//#done

        workgroupBarrier();
        var high = LOWEST;
        if own < ROWS {
            for (var n = member; n < KEYS; n += PER_ROW) {
                high = max(high, scores[own * KEYS + n]);
            }
        }
        peaks[thread] = high;
        workgroupBarrier();
        high = top;
        if own < ROWS {
            for (var n = 0u; n < PER_ROW; n++) {
                high = max(high, peaks[own * PER_ROW + n]);
            }
            let shrink = exp2(top - high);
            sum *= shrink;
            for (var n = member; n < KEYS; n += PER_ROW) {
                let x = scores[own * KEYS + n];
                // A key that is not seen has no weight, even where all keys so far are such.
                let w = select(exp2(x - high), 0.0, x == LOWEST);
                scores[own * KEYS + n] = w;
                sum += w;
            }
            if member == 0u {
                shrinks[own] = shrink;
            }
        }
        top = high;
        workgroupBarrier();

        if column < ROW && line < LINES {
//#each R
            acc#R *= shrinks[#Ru];
//#done
            // Several values are on their way at a time, those past the last being the last once more, without weight.
            for (var some = line; some < kept; some += TOGETHER * LINES) {
//#each U
                let n#U = some + #Uu * LINES;
                let x#U = load_values(cached[min(n#U, kept - 1u)], column);
//#done
//#each U
//#each R
                acc#R = fma(vec4(select(0.0, scores[#Ru * KEYS + min(n#U, KEYS - 1u)], n#U < kept)), x#U, acc#R);
//#done
//#done
            }
            // The first of this line that is new.
            var n = line + (max(kept, line) - line + LINES - 1u) / LINES * LINES;
            for (; first + n < min(first + KEYS, end); n += LINES) {
                let x = as_stored(load_v(given_at(batch, head, first + n - past), column));
//#each R
                acc#R = fma(vec4(scores[#Ru * KEYS + n]), x, acc#R);
//#done
                if tile == 0u {
                    store_values(cached[n], column, x);
                }
            }
        }
    }

    workgroupBarrier();
    // The lines' sums one after the other, where the queries were.
    for (var turn = 0u; turn < LINES; turn++) {
        if line == turn && column < ROW {
//#each R
            if turn == 0u {
                queries[#Ru * ROW + column] = acc#R;
            } else {
                queries[#Ru * ROW + column] += acc#R;
            }
//#done
        }
        workgroupBarrier();
    }
    peaks[thread] = sum;
    workgroupBarrier();
    if own < ROWS && member == 0u {
        var whole = 0.0;
        for (var n = 0u; n < PER_ROW; n++) {
            whole += peaks[own * PER_ROW + n];
        }
        shrinks[own] = whole;
//#if PARTS
        let row = tile * ROWS + own;
        if row / GROUP < length {
            let at = (batch * p.time + row / GROUP) * HEADS + head * GROUP + row % GROUP;
            parts[(at * p.count + part) * (ROW + 1u)] = vec4(top, whole, 0.0, 0.0);
        }
//#endif
    }
    workgroupBarrier();
    for (var i = thread; i < ROWS * ROW; i += WG_X) {
        let row = tile * ROWS + i / ROW;
        let token = row / GROUP;
        let at = (batch * p.time + token) * HEADS + head * GROUP + row % GROUP;
//#if PARTS
        if token < length {
            parts[(at * p.count + part) * (ROW + 1u) + 1u + i % ROW] = queries[i];
        }
//#else
        if token < p.time {
            var out = vec4(0.0);
            if token < length {
                out = queries[i] / shrinks[i / ROW];
//#if HEADS_AT_ONCE
                // A query's gate lies beside it.
                let v = load_q((2u * at + 1u) * HEAD, i % ROW);
                out *= $GATE;
//#endif
            }
            store_y(at * HEAD, i % ROW, out);
        }
//#endif
    }
}
