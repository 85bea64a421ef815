// Scale and minimum of a group, from its words.
fn scale_of(words: vec3<u32>, group: u32) -> vec2<f32> {
    let first = unpack2x16float(words.x);
//#if PAIRED
    return vec2<f32>(select(first.x, first.y, (group & 1u) == 1u), 0.0);
//#endif
//#if SCALE_AND_MIN
    return first;
//#endif
//#if SUB_MIN
    return first * vec2<f32>(byte_of(words.y, group & 3u), byte_of(words.z, group & 3u));
//#endif
//#if SUB_SIGNED
    return vec2<f32>(first.x * signed_byte_of(words.y, group & 3u), 0.0);
//#endif
}
