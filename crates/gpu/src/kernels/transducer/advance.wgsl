// The largest label of a frame so far, and the sum of exp(label - largest).
struct Reduced {
    top: f32,
    index: u32,
    sum: f32,
}

// The index of no label; of equal labels the lower index wins, so it loses against all.
const NONE = 0xffffffffu;
// The largest label of none: finite, so that differences of two of it are zero.
const LOWEST = -0x1.fffffep+127;

fn combine(a: Reduced, b: Reduced) -> Reduced {
    let second = b.top > a.top || (b.top == a.top && b.index < a.index);
    let top = select(a.top, b.top, second);
    let sum = a.sum * exponential(a.top - top) + b.sum * exponential(b.top - top);
    return Reduced(top, select(a.index, b.index, second), sum);
}

// What the threads of each frame have found.
var<workgroup> label: array<u32, AHEAD>;
var<workgroup> duration: array<u32, AHEAD>;
var<workgroup> probability: array<f32, AHEAD>;

// The clip's new cursor, and the log entry with the column it goes to, if there is one.
var<workgroup> moved: array<f32, CURSOR>;
var<workgroup> entry: array<f32, ENTRY>;
var<workgroup> entry_at: u32;

// The duration of a frame whose logits begin at `at`.
fn lasting(at: u32) -> u32 {
//#if HAS_DURATIONS
    var durations = $DURATIONS;
    var top = LOWEST;
    var best = 0u;
    for (var i = 0u; i < OUTPUTS - LABELS; i++) {
        let logit = logits[at + LABELS + i];
        // No comparison with a NaN holds.
        if logit > top {
            top = logit;
            best = i;
        }
    }
    return durations[best];
//#else
    return 0u;
//#endif
}

// Walks along the frames from the cursor on.
fn walk(row: u32) {
    for (var i = 0u; i < CURSOR; i++) {
        moved[i] = cursors[row * p.row + i];
    }
    entry_at = NONE;
    let faulty = !(is_whole(moved[AT], MOST) && is_whole(moved[END], MOST));
    if faulty || !(is_whole(moved[SYMBOLS], MOST) && is_whole(moved[LOGGED], MOST)) {
        report_number(moved[AT]);
        return;
    }
    let start = u32(moved[AT]);
    let end = u32(moved[END]);
    var at = start;
    var symbols = u32(moved[SYMBOLS]);
    var emitted = false;
    moved[PENDING] = 0.0;
    while !emitted && at < end && at - start < AHEAD {
        let ahead = at - start;
        emitted = label[ahead] != BLANK;
        var on = duration[ahead];
        if emitted {
            let logged = u32(moved[LOGGED]);
            entry_at = CURSOR + logged % p.entries * ENTRY;
            entry[ENTRY_TOKEN] = f32(label[ahead]);
            entry[ENTRY_FRAME] = f32(at);
//#if HAS_DURATIONS
            entry[ENTRY_DURATION] = f32(on);
//#else
            entry[ENTRY_DURATION] = 1.0;
//#endif
            let labels = f32(LABELS);
            entry[ENTRY_CONFIDENCE] = clamp((labels * probability[ahead] - 1.0) / (labels - 1.0), 0.0, 1.0);
            moved[LOGGED] = f32(logged + 1u);
            moved[TOKEN] = f32(label[ahead]);
            moved[PENDING] = 1.0;
            symbols += 1u;
            // A token may stay, but not for ever.
            if on == 0u && symbols >= MAX_SYMBOLS {
                on = 1u;
            }
        } else {
            on = max(on, 1u);
        }
        if on > 0u {
            at += on;
            symbols = 0u;
        }
    }
    moved[AT] = f32(at);
    moved[SYMBOLS] = f32(symbols);
}

@compute @workgroup_size(WG_X)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    // Workgroups past the last clip work on the last one too, because all must reach every barrier, and keep their results to
    // themselves.
    let number = linear_id(wid, groups);
    let clip = min(number, p.clips - 1u);
    let ahead = lane / ROW_LANES;
    let first = (clip * AHEAD + ahead) * OUTPUTS;
    var best = Reduced(LOWEST, NONE, 0.0);
    for (var i = lane % ROW_LANES; i < LABELS; i += ROW_LANES) {
        let logit = logits[first + i];
        // Labels come in rising order, and no comparison with a NaN holds.
        if logit > best.top {
            best = Reduced(logit, i, best.sum * exponential(best.top - logit) + 1.0);
        } else {
            best.sum += exponential(logit - best.top);
        }
    }
    best = row_reduce(best, lane);
    if lane % ROW_LANES == 0u {
        label[ahead] = select(best.index, 0u, best.index == NONE);
        duration[ahead] = lasting(first);
        // The exponential of the largest itself is 1.
        probability[ahead] = 1.0 / best.sum;
    }
    workgroupBarrier();
    // A negative number is a large one.
    let row = u32(rows[clip]);
    let real = number < p.clips && row < p.cursor_rows;
    if real && lane == 0u {
        walk(row);
    }
    workgroupBarrier();
    if real {
        for (var i = lane; i < p.row; i += WG_X) {
            var value = cursors[row * p.row + i];
            if i < CURSOR {
                value = moved[i];
            } else if entry_at != NONE && i - entry_at < ENTRY {
                value = entry[i - entry_at];
            }
            cursors[row * p.row + i] = value;
            y[clip * p.row + i] = value;
        }
    }
}
