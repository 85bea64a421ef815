// Where the result's element in a row and a column of the weight's part lies.
fn result_at(row: u32, column: u32) -> u32 {
//#if PART
    return row * p.columns + p.first + column;
//#else
    return row * p.n + column;
//#endif
}

// What is stored at place `at` of the result, in column `column`.
fn finish(sum: f32, at: u32, column: u32) -> f32 {
    var v = sum;
//#if BIAS
//#if PART
    v += bias[p.first + column];
//#else
    v += bias[column];
//#endif
//#endif
//#if ACTIVATION
    v = $ACTIVATE(v);
//#endif
//#if SCALED
    v *= p.factor;
//#endif
//#if RESIDUAL
    v += residual[at];
//#endif
    return v;
}
