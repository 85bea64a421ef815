const K_QUADS: u32 = 4u;
const QUADS: u32 = (K + 3u) / 4u;
// One vector more than a row has, so that threads next to each other read from different banks.
const PITCH: u32 = 5u;
var<workgroup> xs: array<vec4<f32>, X_ROWS * PITCH>;
var<workgroup> ws: array<vec4<f32>, W_ROWS * PITCH>;
var<workgroup> tile_here: vec4<u32>;

fn x_quad(row: u32, quad: u32) -> vec4<f32> {
//#if X_UNPADDED
    var v = vec4<f32>(0.0);
    for (var i = 0u; i < 4u; i += 1u) {
        if 4u * quad + i < K {
            v[i] = x[row * K + 4u * quad + i];
        }
    }
    return v;
//#else
    return x[row * QUADS + quad];
//#endif
}

fn multiply_add(a: vec4<f32>, b: vec4<f32>, sum: f32) -> f32 {
    return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}

@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = linear_id(wid, groups);
    if number >= TILES * COLUMNS {
        return;
    }
    if lane == 0u {
        tile_here = tiles[number / COLUMNS];
    }
    let tile = workgroupUniformLoad(&tile_here);
    let expert = tile.x - FIRST_EXPERT;
    if tile.z == 0u || expert >= OWN_EXPERTS {
        return;
    }
    let first_row = expert * EXPERT_ROWS;
    let first_column = number % COLUMNS * W_ROWS;
    let tx = lane % 16u;
    let ty = lane / 16u;
//#each T W
    var sum#T_#W = 0.0;
//#done
    let load_quad = lane % K_QUADS;
    let load_row = lane / K_QUADS;
    // Rows past the last are the last once more; they are not stored.
//#each S
    let x_row#S = order[tile.y + min(load_row + #Su * 64u, tile.z - 1u)] / SHARE;
//#done
    for (var k = 0u; k < QUADS; k += K_QUADS) {
        let quad = k + load_quad;
//#each S
        if load_row + #Su * 64u < X_ROWS {
            var v = vec4<f32>(0.0);
            if quad < QUADS {
                v = x_quad(x_row#S, quad);
            }
            xs[(load_row + #Su * 64u) * PITCH + load_quad] = v;
        }
//#done
//#each L
        if load_row + #Lu * 64u < W_ROWS {
            var v = vec4<f32>(0.0);
            if quad < QUADS {
                v = decode_quad(first_row + MATRIX + min(first_column + load_row + #Lu * 64u, N - 1u), quad);
            }
            ws[(load_row + #Lu * 64u) * PITCH + load_quad] = v;
        }
//#done
        workgroupBarrier();
//#each Q
        {
//#each T
            let a#T = xs[(ty + #Tu * 16u) * PITCH + #Qu];
//#done
//#each W
            let b#W = ws[(tx + #Wu * 16u) * PITCH + #Qu];
//#each T
            sum#T_#W = multiply_add(a#T, b#W, sum#T_#W);
//#done
//#done
        }
//#done
        workgroupBarrier();
    }
//#each T
    {
        let row = ty + #Tu * 16u;
        if row < tile.z {
            let to = order[tile.y + row] * N;
//#each W
            {
                let column = first_column + tx + #Wu * 16u;
                if column < N {
                    y[to + column] = finish(sum#T_#W, to + column);
                }
            }
//#done
        }
    }
//#done
}
