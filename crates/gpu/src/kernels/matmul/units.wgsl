// Tiles of both factors, rows along K; a few elements more than a row has, so that rows start in different banks.
var<workgroup> xs: array<$TILE, X_ROWS * PITCH>;
var<workgroup> ws: array<$TILE, W_ROWS * PITCH>;
// What each subgroup hands over for the epilogue: one row of matrices.
var<workgroup> stage: array<f32, STAGE>;

fn w_quad(row: u32, quad: u32, factor: f32) -> vec4<f16> {
//#if HALF_W
    return low[row * p.low_stride + quad];
//#else
    return to_half(decode_quad(row, quad) * factor);
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
    let own = subgroup * SIZE * PART_COLUMNS;
    let zeros = own;
    let width = PART_COLUMNS;
    for (var i = place; i < SIZE * PART_COLUMNS; i += LANES) {
        stage[own + i] = 0.0;
    }
    workgroupBarrier();
//#each i TALL
//#each j WIDE
    var sum#i_#j = coopLoadT<$MATRIX<f32, C>>(&stage[zeros], width);
//#end
//#end
    let last = p.quads - 1u;
    var quad = wid.z * p.steps * K_QUADS;
    let end = min(quad + p.steps * K_QUADS, p.quads);
    // Rows past the last are the last once more; they are not stored. Elements past the end are zeros.
//#each s X_SHARES
    let x_place#s = lane + #su * WG_X;
    let x_row#s = min(first_row + x_place#s / K_QUADS, p.m - 1u) * p.x_stride;
    let x_quad#s = x_place#s % K_QUADS;
    var x_next#s = x[x_row#s + min(quad + x_quad#s, last)];
//#end
//#each s W_SHARES
    let w_place#s = lane + #su * WG_X;
    let w_row#s = min(first_column + w_place#s / K_QUADS, p.n - 1u);
    let w_quad#s = w_place#s % K_QUADS;
//#if FACTORS
    let factor#s = factors[w_row#s];
//#else
    let factor#s = 1.0;
//#endif
    var w_next#s = w_quad(w_row#s, min(quad + w_quad#s, last), factor#s);
//#end
    let pitch = PITCH;
    while quad < end {
//#each s X_SHARES
        {
//#if !EVEN
            let zero = quad + x_quad#s >= end;
//#endif
            let at = x_place#s / K_QUADS * PITCH + x_quad#s * QUAD;
//#if EVEN
//#if HALF_X
            let v = x_next#s;
//#else
            let v = to_half(x_next#s);
//#endif
//#else
//#if HALF_X
            let v = select(x_next#s, vec4<f16>(), zero);
//#else
            let v = to_half(select(x_next#s, vec4<f32>(), zero));
//#endif
//#endif
//#if WIDE_TILE
            xs[at] = v;
//#else
            xs[at] = v.x;
            xs[at + 1u] = v.y;
            xs[at + 2u] = v.z;
            xs[at + 3u] = v.w;
//#endif
        }
//#end
//#each s W_SHARES
        {
            let at = w_place#s / K_QUADS * PITCH + w_quad#s * QUAD;
//#if EVEN
            let v = w_next#s;
//#else
            let v = select(w_next#s, vec4<f16>(), quad + w_quad#s >= end);
//#endif
//#if WIDE_TILE
            ws[at] = v;
//#else
            ws[at] = v.x;
            ws[at + 1u] = v.y;
            ws[at + 2u] = v.z;
            ws[at + 3u] = v.w;
//#endif
        }
//#end
        workgroupBarrier();
        quad += K_QUADS;
        // The next tiles are on their way while these are multiplied.
//#each s X_SHARES
        x_next#s = x[x_row#s + min(quad + x_quad#s, last)];
//#end
//#each s W_SHARES
        w_next#s = w_quad(w_row#s, min(quad + w_quad#s, last), factor#s);
//#end
//#each q DEEP
        {
//#each i TALL
            let x_at#i = (part_row + #iu * SIZE) * PITCH + #qu * SIZE / 4u * QUAD;
            let a#i = coopLoadT<$MATRIX<f16, A>>(&xs[x_at#i], pitch);
//#end
//#each j WIDE
            let w_at#j = (part_column + #ju * SIZE) * PITCH + #qu * SIZE / 4u * QUAD;
            let b#j = coopLoad<$MATRIX<f16, B>>(&ws[w_at#j], pitch);
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
    {
//#each j WIDE
        let all#j = sum#i_#j;
        let at#j = own + #ju * SIZE;
        coopStoreT(all#j, &stage[at#j], width);
//#end
        workgroupBarrier();
        for (var e = place; e < SIZE * PART_COLUMNS; e += LANES) {
            let row = first_row + part_row + #iu * SIZE + e / PART_COLUMNS;
            let column = first_column + part_column + e % PART_COLUMNS;
            if row < p.m && column < p.n {
                let at = row * p.n + column;
//#if FACTORS
                // One over a power of two.
                let sum = stage[own + e] * bitcast<f32>(0x7f000000u - bitcast<u32>(factors[column]));
//#else
                let sum = stage[own + e];
//#endif
//#if SPLIT
                parts[wid.z * p.m * p.n + at] = sum;
//#else
                y[at] = finish(sum, at, column);
//#endif
            }
        }
        workgroupBarrier();
    }
//#end
}
