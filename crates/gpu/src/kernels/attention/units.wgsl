// A workgroup takes a tile of queries of one head over all keys they see, a tile of keys at a time. Its subgroups share the tile's
// scores out among themselves, and its results, both in parts of some rows and columns. What a subgroup's units sum up only they can
// read, so scores pass through the stage to the threads that make weights of them, some threads to a row.
// Stands for the score of a key that is not seen. Finite, so that differences of two of it are zero.
const LOWEST = -3e38;
// A row's weights are taken relative to a score that is at most so many powers of two below its largest: f16 holds them, and results
// seldom have to be scaled anew.
const GROWTH = 8.0;

// Keys, or positions, or weights; after them values. Rows have a few elements more than they need, so that they start in different banks.
var<workgroup> tiles: array<$TILE, TILES>;
var<workgroup> stage: array<$STAGED, STAGE>;
var<workgroup> factors: array<f32, QUERIES>;
var<workgroup> grown: atomic<u32>;
var<workgroup> length_of: u32;

struct Floats { low: vec4<f32>, high: vec4<f32> }

//#each X
fn fetch_#X(at: u32) -> $FETCHED_#X {
//#if HALF_#X
    return #X[at];
//#else
    return Floats(#X[2u * at], #X[2u * at + 1u]);
//#endif
}

fn words_#X(fetched: $FETCHED_#X) -> vec4<u32> {
//#if HALF_#X
    return fetched;
//#else
    return halves(fetched.low, fetched.high);
//#endif
}

//#done
//#if POSITIONS
// A query with a bias.
fn biased(fetched: $FETCHED_q, low: vec4<f32>, high: vec4<f32>) -> vec4<u32> {
//#if HALF_q
    let first = vec4<f32>(unpack2x16float(fetched.x), unpack2x16float(fetched.y));
    let second = vec4<f32>(unpack2x16float(fetched.z), unpack2x16float(fetched.w));
    return halves(first + low, second + high);
//#else
    return halves(fetched.low + low, fetched.high + high);
//#endif
}
//#endif

// Four numbers from place `at` of the stage on.
fn staged(at: u32) -> vec4<f32> {
//#if WIDE
    return stage[at];
//#else
    return vec4<f32>(stage[at], stage[at + 1u], stage[at + 2u], stage[at + 3u]);
//#endif
}

fn put_weights(at: u32, w: vec4<f16>) {
//#if WIDE
    tiles[at] = w;
//#else
    tiles[at] = w.x;
    tiles[at + 1u] = w.y;
    tiles[at + 2u] = w.z;
    tiles[at + 3u] = w.w;
//#endif
}

fn total(v: vec4<f32>) -> f32 {
    return (v.x + v.y) + (v.z + v.w);
}

@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) place: u32,
) {
    let first = wid.x * QUERIES;
    let head = wid.y * HEAD_OCTS;
    let clip = wid.z * p.queries;
    let key_clip = wid.z * p.keys;
    if lane == 0u {
        length_of = u32(clamp(lengths[wid.z], 0, i32(p.keys)));
        atomicStore(&grown, 0u);
    }
    let length = workgroupUniformLoad(&length_of);
    var begin = 0u;
    var end = length;
//#if WINDOW
    // Tiles of keys begin at multiples of their size: a query's bits don't depend on those it shares a tile with.
    begin = (first - min(first, p.left)) / KEYS * KEYS;
    end = min(length, first + QUERIES + p.right);
//#endif
    // Queries that are the keys' own frames end where these do.
    let present = select(p.queries, length, p.queries == p.keys);
    if first >= present {
        end = begin;
    }

    // The part of this subgroup: rows, and columns of scores, of results and of positions.
    let part_row = subgroup / COLUMN_PARTS * PART_ROWS;
    let part = subgroup % COLUMN_PARTS;
    let own = subgroup * OWN;
    let pitch = PITCH;
    let weight_pitch = WEIGHT_PITCH;
    let stage_pitch = STAGE_PITCH;
    let width = OWN_PITCH;
    // The row whose weights this thread makes, with the threads beside it.
    let row = (subgroup * LANES + place) / SHARERS;
    let share = (subgroup * LANES + place) % SHARERS;
    let query = first + row;

    for (var i = place; i < OWN; i += LANES) {
        stage[own + i] = $STAGED(0.0);
    }
    // Queries stay in the subgroups' registers.
//#each W
    workgroupBarrier();
//#each Q
    {
        let at = lane + #Qu * WG_X;
        let c = at % HEAD_OCTS;
        if at < QUERIES * HEAD_OCTS {
            let fetched = fetch_q((clip + min(first + at / HEAD_OCTS, p.queries - 1u)) * WIDTH_OCTS + head + c);
//#if POSITIONS
            let words = biased(fetched, #W_bias[2u * (head + c)], #W_bias[2u * (head + c) + 1u]);
//#else
            let words = words_q(fetched);
//#endif
            put(at / HEAD_OCTS * PITCH + c * UNIT, words);
        }
    }
//#done
    workgroupBarrier();
//#each A E
    let #W#A_#E = coopLoadT<$MATRIX<f16, A>>(&tiles[(part_row + #Au * SIZE) * PITCH + #Eu * BLOCK], pitch);
//#done
//#done
    let zero = coopLoadT<$MATRIX<f32, C>>(&stage[own], width);
//#each A C
    var o#A_#C = zero;
//#done
    workgroupBarrier();

    // What this thread fetches: an oct of every row or of every few rows.
//#each K
    let key_row#K = (lane + #Ku * WG_X) / HEAD_OCTS;
    let key_oct#K = head + (lane + #Ku * WG_X) % HEAD_OCTS;
    let key_at#K = key_row#K * PITCH + (lane + #Ku * WG_X) % HEAD_OCTS * UNIT;
//#done
    var keys = begin;
//#if POSITIONS
//#each P
    let band_row#P = (lane + #Pu * WG_X) / HEAD_OCTS;
    let band_oct#P = head + (lane + #Pu * WG_X) % HEAD_OCTS;
    let band_at#P = band_row#P * PITCH + (lane + #Pu * WG_X) % HEAD_OCTS * UNIT;
//#done
    // The row of the table for the first key and the last query of the tile.
    let band = p.first_offset - i32(first) - i32(QUERIES - 1u);
    let last_position = i32(p.table_rows) - 1;
//#each P
    var next_p#P = fetch_table(u32(clamp(band + i32(keys + band_row#P), 0, last_position)) * WIDTH_OCTS + band_oct#P);
//#done
//#endif
//#each K
    var next_k#K = fetch_k((key_clip + min(keys + key_row#K, p.keys - 1u)) * WIDTH_OCTS + key_oct#K);
    var next_v#K = fetch_v((key_clip + min(keys + key_row#K, p.keys - 1u)) * WIDTH_OCTS + key_oct#K);
//#done
    var top = LOWEST;
    var sum = 0.0;

    while keys < end {
//#if POSITIONS
        // Queries by positions: of each block of rows those columns that its keys may be at.
//#each P
        if band_row#P < BAND {
            put(band_at#P, words_table(next_p#P));
        }
//#done
        workgroupBarrier();
//#each P
        next_p#P = fetch_table(u32(clamp(band + i32(keys + KEYS + band_row#P), 0, last_position)) * WIDTH_OCTS + band_oct#P);
//#done
//#each A G
        {
            let block = part + #Gu * COLUMN_PARTS;
            let at = (QUERIES - SIZE - part_row - #Au * SIZE + block * SIZE) * PITCH;
            var r = zero;
//#each E
            let t#E = coopLoad<$MATRIX<f16, B>>(&tiles[at + #Eu * BLOCK], pitch);
            r = coopMultiplyAdd(v#A_#E, t#E, r);
//#done
            let all = r;
            let to = (part_row + #Au * SIZE) * STAGE_PITCH + block * STAGE_BLOCK;
            coopStoreT(all, &stage[to], stage_pitch);
        }
//#done
        workgroupBarrier();
//#each N
        var x#N = vec4<f32>(0.0);
        {
            let at = row * STAGE_FLOATS + 4u * (#Nu * SHARERS + share) + (SIZE - 1u - row % SIZE);
//#if WIDE
            x#N = vec4<f32>(
                stage[at / 4u][at % 4u],
                stage[(at + 1u) / 4u][(at + 1u) % 4u],
                stage[(at + 2u) / 4u][(at + 2u) % 4u],
                stage[(at + 3u) / 4u][(at + 3u) % 4u],
            );
//#else
            x#N = staged(at);
//#endif
        }
//#done
//#else
//#each N
        var x#N = vec4<f32>(0.0);
//#done
//#endif
//#each K
        if key_row#K < KEYS {
            put(key_at#K, words_k(next_k#K));
            // What lies past the length may be anything, and no weight makes a NaN vanish.
            put(VALUES + key_at#K, select(vec4<u32>(0u), words_v(next_v#K), keys + key_row#K < length));
        }
//#done
        workgroupBarrier();
        // The next tiles are on their way while these are multiplied.
//#each K
        next_k#K = fetch_k((key_clip + min(keys + KEYS + key_row#K, p.keys - 1u)) * WIDTH_OCTS + key_oct#K);
        next_v#K = fetch_v((key_clip + min(keys + KEYS + key_row#K, p.keys - 1u)) * WIDTH_OCTS + key_oct#K);
//#done
//#each A B
        var s#A_#B = zero;
//#done
//#each E
        {
//#each B
            let k#B = coopLoad<$MATRIX<f16, B>>(&tiles[(part * PART_KEYS + #Bu * SIZE) * PITCH + #Eu * BLOCK], pitch);
//#done
//#each A B
            s#A_#B = coopMultiplyAdd(u#A_#E, k#B, s#A_#B);
//#done
        }
//#done
//#each A B
        {
            let all = s#A_#B;
            let at = (part_row + #Au * SIZE) * STAGE_PITCH + part * PART_KEYS / SIZE * STAGE_BLOCK + #Bu * STAGE_BLOCK;
            coopStoreT(all, &stage[at], stage_pitch);
        }
//#done
        workgroupBarrier();

        var high = LOWEST;
//#each N
        let n#N = vec4<u32>(keys + 4u * (#Nu * SHARERS + share)) + vec4<u32>(0u, 1u, 2u, 3u);
        var seen#N = n#N < vec4<u32>(length);
//#if WINDOW
        seen#N = seen#N & (n#N + vec4<u32>(p.left) >= vec4<u32>(query)) & (n#N <= vec4<u32>(query + p.right));
//#endif
        x#N = (x#N + staged(row * STAGE_PITCH + (#Nu * SHARERS + share) * QUAD)) * p.scale;
        x#N = select(vec4<f32>(LOWEST), x#N, seen#N);
        high = max(high, max(max(x#N.x, x#N.y), max(x#N.z, x#N.w)));
//#done
//#each R
        high = max(high, subgroupShuffleXor(high, #Ru));
//#done
        var shrink = 1.0;
        if high > top + GROWTH {
            if top > LOWEST {
                shrink = exp2(top - high);
                atomicStore(&grown, 1u);
            }
            top = high;
        }
        sum *= shrink;
//#each N
        // A key that is not seen has no weight, even where all keys so far are such.
        let w#N = vec4<f16>(select(vec4<f32>(0.0), exp2(x#N - vec4<f32>(top)), seen#N));
        sum += total(vec4<f32>(w#N));
        put_weights(row * WEIGHT_PITCH + (#Nu * SHARERS + share) * QUAD_UNIT, w#N);
//#done
        if share == 0u {
            factors[row] = shrink;
        }
        let anew = workgroupUniformLoad(&grown);
        if lane == 0u {
            atomicStore(&grown, 0u);
        }
        if anew != 0u {
//#each A C
            {
                let before = o#A_#C;
                coopStoreT(before, &stage[own], width);
                workgroupBarrier();
                for (var i = place; i < OWN; i += LANES) {
                    stage[own + i] *= factors[part_row + #Au * SIZE + i / OWN_PITCH];
                }
                workgroupBarrier();
                o#A_#C = coopLoadT<$MATRIX<f32, C>>(&stage[own], width);
                workgroupBarrier();
            }
//#done
        }
//#each F
        {
//#each A
            let w_at#A = (part_row + #Au * SIZE) * WEIGHT_PITCH + #Fu * BLOCK;
            let a#A = coopLoadT<$MATRIX<f16, A>>(&tiles[w_at#A], weight_pitch);
//#done
//#each C
            let v_at#C = VALUES + #Fu * SIZE * PITCH + part * PART_BLOCKS * BLOCK + #Cu * BLOCK;
            let b#C = coopLoadT<$MATRIX<f16, B>>(&tiles[v_at#C], pitch);
//#done
//#each A C
            o#A_#C = coopMultiplyAdd(a#A, b#C, o#A_#C);
//#done
        }
//#done
        workgroupBarrier();
        keys += KEYS;
    }

//#each R
    sum += subgroupShuffleXor(sum, #Ru);
//#done
    if share == 0u {
        factors[row] = sum;
    }
    workgroupBarrier();
//#each A C
    {
        let all = o#A_#C;
        coopStoreT(all, &stage[own], width);
        workgroupBarrier();
        for (var i = place; i < SIZE * SIZE / 4u; i += LANES) {
            let r = part_row + #Au * SIZE + i / (SIZE / 4u);
            if first + r < p.queries {
                let c = (part * PART_BLOCKS + #Cu) * SIZE / 4u + i % (SIZE / 4u);
                let out = select(vec4<f32>(0.0), staged(own + i * QUAD) / factors[r], length > 0u && first + r < present);
                y[2u * ((clip + first + r) * WIDTH_OCTS + head) + c] = $KEPT(out);
            }
        }
        workgroupBarrier();
    }
//#done
}
