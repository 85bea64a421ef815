// The words that hold a group's scale and minimum; groups are counted along the row.
fn scale_words(row: u32, group: u32) -> vec3<u32> {
    let start = row * p.scale_stride;
//#if PAIRED
    return vec3<u32>(scales[start + group / 2u], 0u, 0u);
//#endif
//#if SCALE_AND_MIN
    return vec3<u32>(scales[start + group], 0u, 0u);
//#endif
//#if SUB_MIN
    let record = start + group / 8u * 5u;
    let word = record + 1u + (group & 7u) / 4u;
    return vec3<u32>(scales[record], scales[word], scales[word + 2u]);
//#endif
//#if SUB_SIGNED
    let record = start + group / 16u * 5u;
    return vec3<u32>(scales[record], scales[record + 1u + (group & 15u) / 4u], 0u);
//#endif
}

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
