$TABLE

// Cosine and sine of what a pair of channels turns by at a position.
fn turned_by(pair: u32, position: i32) -> vec2<f32> {
    let steps = u32(abs(position));
    let turn = TURNS[pair];
    let d = direction(steps * turn.x + upper(steps, turn.y));
    return vec2<f32>(d.x, select(d.y, -d.y, position < 0));
}
