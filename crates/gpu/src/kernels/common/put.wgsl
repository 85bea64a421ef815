fn put(at: u32, words: vec4<u32>) {
    let first = vec4<f16>(vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y)));
    let second = vec4<f16>(vec4<f32>(unpack2x16float(words.z), unpack2x16float(words.w)));
//#if WIDE
    tiles[at] = first;
    tiles[at + 1u] = second;
//#else
    tiles[at] = first.x;
    tiles[at + 1u] = first.y;
    tiles[at + 2u] = first.z;
    tiles[at + 3u] = first.w;
    tiles[at + 4u] = second.x;
    tiles[at + 5u] = second.y;
    tiles[at + 6u] = second.z;
    tiles[at + 7u] = second.w;
//#endif
}

