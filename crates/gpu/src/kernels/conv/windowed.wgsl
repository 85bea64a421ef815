const K_QUADS: u32 = 4u;
// One vector more than a row has, so that threads next to each other read from different banks.
const PITCH: u32 = 5u;
var<workgroup> xs: array<vec4<f32>, X_ROWS * PITCH>;
var<workgroup> ws: array<vec4<f32>, W_ROWS * PITCH>;

// Four elements of a column of the kernel, which meet those of a window.
fn kernel_quad(column: u32, quad: u32) -> vec4<f32> {
//#if TRANSPOSED
    // The last frame of a window is the column's first tap, the one before it the tap a stride later.
    let row = column + (TAPS - 1u - quad / TAP_QUADS) * TAP_ROWS;
    if row >= KERNEL_ROWS {
        return vec4<f32>(0.0);
    }
    return decode_quad(row, quad % TAP_QUADS);
//#else
    return decode_quad(column, quad);
//#endif
}

fn multiply_add(a: vec4<f32>, b: vec4<f32>, sum: f32) -> f32 {
    return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}

fn store(sum: f32, row: u32, column: u32) {
    if row < p.rows && column < COLUMNS {
        let channel = column % OUTPUTS;
        // A frame before the cut wraps to a large number.
        let frame = row % p.count * PHASES + column / OUTPUTS - CUT;
        if frame < FRAMES {
            let at = (row / p.count * FRAMES + frame) * OUTPUTS + channel;
            y[at] = finish(sum, at, channel);
        }
    }
}

@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = linear_id(wid, groups);
    if number >= TILES {
        return;
    }
    let first_row = number / BLOCKS_OF_COLUMNS * X_ROWS;
    let first_column = number % BLOCKS_OF_COLUMNS * W_ROWS;
    let tx = lane % 16u;
    let ty = lane / 16u;
//#each T W
    var sum#T_#W = 0.0;
//#done
    let load_quad = lane % K_QUADS;
    let load_row = lane / K_QUADS;
    // Rows past the last are the last once more; they are not stored.
//#each S
    let at#S = window_at(min(first_row + load_row + #Su * 64u, p.rows - 1u));
//#done
    for (var k = 0u; k < QUADS; k += K_QUADS) {
        let quad = k + load_quad;
//#each S
        if load_row + #Su * 64u < X_ROWS {
            var v = vec4<f32>(0.0);
            if quad < QUADS {
                v = window_quad(at#S.x, at#S.y, quad);
            }
            xs[(load_row + #Su * 64u) * PITCH + load_quad] = v;
        }
//#done
//#each L
        if load_row + #Lu * 64u < W_ROWS {
            var v = vec4<f32>(0.0);
            if quad < QUADS {
                v = kernel_quad(min(first_column + load_row + #Lu * 64u, COLUMNS - 1u), quad);
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
//#each T W
    store(sum#T_#W, first_row + ty + #Tu * 16u, first_column + tx + #Wu * 16u);
//#done
}
