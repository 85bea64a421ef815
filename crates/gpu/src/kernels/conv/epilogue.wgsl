fn finish(sum: f32, at: u32, channel: u32) -> f32 {
    var v = sum;
//#if BIAS
    v += bias[channel];
//#endif
    v = p.scale * $ACTIVATED;
//#if RESIDUAL
    v += residual[at];
//#endif
    return v;
}
