// Levels are put into the low bits of a float of 2^23, which then is subtracted together with the level of zero: exact, and
// several times as fast as a conversion from an integer.
fn levels(word: u32) -> vec4<f32> {
//#if SIGNED
    let bytes = word ^ 0x80808080u;
//#else
    let bytes = word;
//#endif
    let spread = (vec4<u32>(bytes) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);
    return bitcast<vec4<f32>>(spread | vec4<u32>(0x4b000000u)) - vec4<f32>($MAGIC);
}

fn byte_of(word: u32, i: u32) -> f32 {
    return f32((word >> (8u * i)) & 0xffu);
}

fn signed_byte_of(word: u32, i: u32) -> f32 {
    return f32(bitcast<i32>(word << (24u - 8u * i)) >> 24u);
}

fn from_f16(words: vec2<u32>) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}

fn from_bf16(words: vec2<u32>) -> vec4<f32> {
    let high = vec2<u32>(0xffff0000u);
    return bitcast<vec4<f32>>(vec4<u32>(words << vec2<u32>(16u), words & high).xzyw);
}
