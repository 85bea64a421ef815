fn kept_half(v: f32) -> f16 {
    return f16(in_range(vec4<f32>(v)).x);
}

fn kept_halves(v: vec4<f32>) -> vec4<f16> {
    return vec4<f16>(in_range(v));
}
