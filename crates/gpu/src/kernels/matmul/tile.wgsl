const K_QUADS: u32 = 4u;
// One vector more than a row has, so that threads next to each other read from different banks.
const PITCH: u32 = 5u;
var<workgroup> xs: array<vec4<f32>, X_ROWS * PITCH>;
var<workgroup> ws: array<vec4<f32>, W_ROWS * PITCH>;

fn x_quad(row: u32, quad: u32) -> vec4<f32> {
//#if X_UNPADDED
    let at = row * p.k + 4u * quad;
    var v = vec4<f32>(0.0);
    for (var i = 0u; i < 4u; i += 1u) {
        if 4u * quad + i < p.k {
            v[i] = x[at + i];
        }
    }
    return v;
//#else
    return x[row * (p.k / 4u) + quad];
//#endif
}

fn multiply_add(a: vec4<f32>, b: vec4<f32>, sum: f32) -> f32 {
    return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}

@compute @workgroup_size(WG_X)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let first_row = wid.y * X_ROWS;
    let first_column = wid.x * W_ROWS;
    let tx = lane % 16u;
    let ty = lane / 16u;
//#each i TALL
//#each j WIDE
    var sum#i_#j = 0.0;
//#end
//#end
    let quads = (p.k + 3u) / 4u;
    let load_quad = lane % K_QUADS;
    let load_row = lane / K_QUADS;
    for (var k = 0u; k < quads; k += K_QUADS) {
        let quad = k + load_quad;
        // Rows past the last are the last once more; they are not stored.
//#each s X_SHARES
        if load_row + #su * 64u < X_ROWS {
            var v = vec4<f32>(0.0);
            if quad < quads {
                v = x_quad(min(first_row + load_row + #su * 64u, p.m - 1u), quad);
            }
            xs[(load_row + #su * 64u) * PITCH + load_quad] = v;
        }
//#end
//#each s W_SHARES
        if load_row + #su * 64u < W_ROWS {
            var v = vec4<f32>(0.0);
            if quad < quads {
                v = decode_quad(min(first_column + load_row + #su * 64u, p.n - 1u), quad);
            }
            ws[(load_row + #su * 64u) * PITCH + load_quad] = v;
        }
//#end
        workgroupBarrier();
//#each q K_QUADS
        {
//#each i TALL
            let a#i = xs[(ty + #iu * 16u) * PITCH + #qu];
//#end
//#each j WIDE
            let b#j = ws[(tx + #ju * 16u) * PITCH + #qu];
//#each i TALL
            sum#i_#j = multiply_add(a#i, b#j, sum#i_#j);
//#end
//#end
        }
//#end
        workgroupBarrier();
    }
//#each i TALL
    {
        let row = first_row + ty + #iu * 16u;
//#each j WIDE
        {
            let column = first_column + tx + #ju * 16u;
            let at = result_at(row, column);
            if row < p.m && column < p.n {
                y[at] = $KEPT(finish(sum#i_#j, at, column));
            }
        }
//#end
    }
//#end
}
