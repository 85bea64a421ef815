// Where the result's element in a row and a column of the weight's part lies.
fn result_at(row: u32, column: u32) -> u32 {
//#if PART
    return row * p.columns + p.first + column;
//#else
    return row * p.n + column;
//#endif
}

// What a result is combined with before it is stored.
struct Carried {
    bias: f32,
    residual: f32,
}

// That of place `at` of the result, in column `column`.
fn carried(at: u32, column: u32) -> Carried {
    var c = Carried();
//#if BIAS
//#if PART
    c.bias = bias[p.first + column];
//#else
    c.bias = bias[column];
//#endif
//#endif
//#if RESIDUAL
    c.residual = residual[at];
//#endif
    return c;
}

fn finish_with(sum: f32, c: Carried) -> f32 {
    var v = sum;
//#if BIAS
    v += c.bias;
//#endif
//#if ACTIVATION
    v = $ACTIVATE(v);
//#endif
//#if SCALED
    v *= p.factor;
//#endif
//#if RESIDUAL
    v += c.residual;
//#endif
    return v;
}

fn finish(sum: f32, at: u32, column: u32) -> f32 {
    return finish_with(sum, carried(at, column));
}
