// What a router makes of a logit, given the largest of the token's logits and the sum of exp(logit - largest).
fn softmax_score(x: f32, all: vec2<f32>) -> f32 {
    return exponential(x - all.x) / all.y;
}

fn root_softplus(x: f32) -> f32 {
    return sqrt(softplus(x));
}

fn score_of(x: f32, all: vec2<f32>) -> f32 {
//#if SOFTMAX
    return softmax_score(x, all);
//#else
    return $SCORE(x);
//#endif
}
//#if SOFTMAX

// The largest logit so far, and the sum of exp(logit - largest).
alias Reduced = vec2<f32>;

// The largest of none: finite, so that differences of two of it are zero.
const LOWEST = -0x1.fffffep+127;

fn combine(a: Reduced, b: Reduced) -> Reduced {
    let top = max(a.x, b.x);
    return Reduced(top, a.y * exponential(a.x - top) + b.y * exponential(b.x - top));
}

// Of the logits from `first` on, those of every WG_X-th.
fn of_some(first: u32, lane: u32) -> Reduced {
    var all = Reduced(LOWEST, 0.0);
    for (var i = lane; i < EXPERTS; i += WG_X) {
        let x = logits[first + i];
        let top = max(all.x, x);
        all = Reduced(top, all.y * exponential(all.x - top) + exponential(x - top));
    }
    return all;
}
//#endif
