// Cosine and sine of every angle there is.
var<workgroup> circle: array<vec2<f32>, WINDOW>;

// A fraction of a turn in 2^-32, by a division in two steps.
fn turns(part: u32) -> u32 {
    let high = (part << 16u) / WINDOW;
    let rest = (part << 16u) % WINDOW;
    return (high << 16u) + (rest << 16u) / WINDOW;
}

// The sample of a frame's inverse transform at a place of the window.
fn sample(frame: u32, place: u32) -> f32 {
    let at = frame * 2u * BINS;
    // Bins between the first and the last stand for two each, themselves and their mirror images.
    var sum = 0.0;
    var angle = place;
    for (var bin = 1u; bin < BINS - 1u; bin++) {
        let d = circle[angle];
        sum += x[at + bin] * d.x - x[at + BINS + bin] * d.y;
        angle += place;
        angle -= select(0u, WINDOW, angle >= WINDOW);
    }
    let last = x[at + BINS - 1u];
    return (x[at] + select(last, -last, (place & 1u) == 1u) + 2.0 * sum) / f32(WINDOW);
}

@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    for (var i = lane; i < WINDOW; i += WG_X) {
        circle[i] = direction(turns(i));
    }
    workgroupBarrier();
    let i = linear_id(wid, groups) * WG_X + lane;
    if i < p.len {
        let clip = i / p.samples * p.frames;
        // Half a window is cut off at the beginning.
        let n = i % p.samples + WINDOW / 2u;
        // The first frame that reaches so far, and the last that begins before.
        let first = (max(n + 1u, WINDOW) - WINDOW + HOP - 1u) / HOP;
        let last = min(n / HOP, p.frames - 1u);
        var sum = 0.0;
        var weight = 0.0;
        for (var frame = first; frame <= last; frame++) {
            let place = n - frame * HOP;
            let hann = 0.5 - 0.5 * circle[place].x;
            sum += hann * sample(clip + frame, place);
            weight += hann * hann;
        }
        y[i] = sum / weight;
    }
}
