// A tile of each factor, rows along K; a few elements more than a row has, so that rows start in different banks.
var<workgroup> tiles: array<$TILE, TILES>;
// One matrix of sums of each subgroup, handed over for the epilogue.
var<workgroup> stage: array<f32, STAGE>;

//#if !HALF_X
struct Floats { low: vec4<f32>, high: vec4<f32> }
//#endif

fn x_words(fetched: $X_FETCHED) -> vec4<u32> {
//#if HALF_X
    return fetched;
//#else
    return halves(fetched.low, fetched.high);
//#endif
}

fn x_fetch(start: u32, oct: u32) -> $X_FETCHED {
//#if HALF_X
    return x[start + oct];
//#else
    return Floats(x[2u * (start + oct)], x[2u * (start + oct) + 1u]);
//#endif
}

fn w_fetch(row: u32, oct: u32, factor: f32) -> vec4<u32> {
//#if HALF_W
    return low[row * p.low_stride + oct];
//#else
    return halves(decode_quad(row, 2u * oct) * factor, decode_quad(row, 2u * oct + 1u) * factor);
//#endif
}

fn kept(words: vec4<u32>, oct: u32, end: u32) -> vec4<u32> {
//#if EVEN
    return words;
//#else
    return select(words, vec4<u32>(0u), oct >= end);
//#endif
}

@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) place: u32,
) {
    let first_row = wid.y * X_ROWS;
    let first_column = wid.x * W_ROWS;
    let part_row = subgroup / COLUMN_PARTS * PART_ROWS;
    let part_column = subgroup % COLUMN_PARTS * PART_COLUMNS;
    let own = subgroup * SIZE * SIZE;
    let width = SIZE;
    for (var i = place; i < SIZE * SIZE; i += LANES) {
        stage[own + i] = 0.0;
    }
    workgroupBarrier();
//#each i TALL
//#each j WIDE
    var sum#i_#j = coopLoadT<$MATRIX<f32, C>>(&stage[own], width);
//#end
//#end
    workgroupBarrier();
    let last = p.octs - 1u;
    var oct = wid.z * p.steps * K_OCTS;
    let end = min(oct + p.steps * K_OCTS, p.octs);
    // Rows past the last are the last once more; they are not stored. Elements past the end are zeros.
//#each s X_SHARES
    let x_place#s = lane + #su * WG_X;
    let x_start#s = min(first_row + x_place#s / K_OCTS, p.m - 1u) * p.octs;
    let x_oct#s = x_place#s % K_OCTS;
    let x_at#s = x_place#s / K_OCTS * PITCH + x_oct#s * UNIT;
//#end
//#each s W_SHARES
    let w_place#s = lane + #su * WG_X;
    let w_row#s = min(first_column + w_place#s / K_OCTS, p.n - 1u);
    let w_oct#s = w_place#s % K_OCTS;
    let w_at#s = X_ROWS * PITCH + w_place#s / K_OCTS * PITCH + w_oct#s * UNIT;
//#if FACTORS
    let factor#s = factors[w_row#s];
//#else
    let factor#s = 1.0;
//#endif
//#end
//#each s X_SHARES
    var x_next#s = x_fetch(x_start#s, min(oct + x_oct#s, last));
//#end
//#each s W_SHARES
    var w_next#s = w_fetch(w_row#s, min(oct + w_oct#s, last), factor#s);
//#end
    let pitch = PITCH;
    while oct < end {
//#each s X_SHARES
        put(x_at#s, kept(x_words(x_next#s), oct + x_oct#s, end));
//#end
//#each s W_SHARES
        put(w_at#s, kept(w_next#s, oct + w_oct#s, end));
//#end
        workgroupBarrier();
        oct += K_OCTS;
        // The next tiles are on their way while these are multiplied.
//#each s X_SHARES
        x_next#s = x_fetch(x_start#s, min(oct + x_oct#s, last));
//#end
//#each s W_SHARES
        w_next#s = w_fetch(w_row#s, min(oct + w_oct#s, last), factor#s);
//#end
//#each q DEEP
        {
//#each i TALL
            let x_at#i = (part_row + #iu * SIZE) * PITCH + #qu * SIZE / 8u * UNIT;
            let a#i = coopLoadT<$MATRIX<f16, A>>(&tiles[x_at#i], pitch);
//#end
//#each j WIDE
            let w_at#j = (X_ROWS + part_column + #ju * SIZE) * PITCH + #qu * SIZE / 8u * UNIT;
            let b#j = coopLoad<$MATRIX<f16, B>>(&tiles[w_at#j], pitch);
//#end
//#each i TALL
//#each j WIDE
            sum#i_#j = coopMultiplyAdd(a#i, b#j, sum#i_#j);
//#end
//#end
        }
//#end
        workgroupBarrier();
    }
//#each i TALL
//#each j WIDE
    {
        let all = sum#i_#j;
        coopStoreT(all, &stage[own], width);
        workgroupBarrier();
        for (var i = place; i < SIZE * SIZE; i += LANES) {
            let row = first_row + part_row + #iu * SIZE + i / SIZE;
            let column = first_column + part_column + #ju * SIZE + i % SIZE;
            if row < p.m && column < p.n {
//#if FACTORS
                // One over a power of two.
                let sum = stage[own + i] * bitcast<f32>(0x7f000000u - bitcast<u32>(factors[column]));
//#else
                let sum = stage[own + i];
//#endif
//#if SPLIT
                parts[(wid.z * p.m + row) * p.n + column] = sum;
//#else
                let at = result_at(row, column);
                y[at] = $KEPT(finish(sum, at, column));
//#endif
            }
        }
        workgroupBarrier();
    }
//#end
//#end
}
