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
