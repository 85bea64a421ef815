// Beyond the range of f16 the largest number of that sign: an infinity would make the whole row one. NaN stays NaN.
fn to_half(v: vec4<f32>) -> vec4<f16> {
    let large = vec4<f32>(65504.0);
    return vec4<f16>(select(v, sign(v) * large, abs(v) > large));
}
