// Beyond the range of f16 the largest number of that sign: an infinity would make a whole row of a product one. NaN stays NaN.
fn in_range(v: vec4<f32>) -> vec4<f32> {
    let most = vec4<f32>(65504.0);
    return select(v, clamp(v, -most, most), abs(v) > most);
}
