// What is stored at place `at` of the result, in column `column`.
fn finish(sum: f32, at: u32, column: u32) -> f32 {
    var v = sum;
//#if BIAS
    v += bias[column];
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
