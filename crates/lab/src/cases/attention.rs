//! Attention with relative positions: real widths, windows, and lengths down to nothing.

use super::Cases;
use crate::bounds::Bounds;
use crate::case::{CaseBuilder, Fill, OpCase};
use crate::elements::Elements;
use crate::error::LabError;
use mynah_graph::{Op, RelPosAttention};
use mynah_tensor::DType;

/// One attention.
pub(super) struct Attention<'a> {
    pub(super) time: usize,
    pub(super) heads: usize,
    pub(super) head_width: usize,
    /// One for each clip of the batch.
    pub(super) lengths: &'a [i32],
    pub(super) window: Option<[usize; 2]>,
    /// Rows the table has beyond those needed, on each side.
    pub(super) spare: usize,
    /// Deviation of the queries; large ones make the softmax choose one key.
    pub(super) sharpness: f32,
}

impl Attention<'_> {
    pub(super) fn case(&self, tag: &str) -> Result<OpCase, LabError> {
        let Self { time, heads, head_width, lengths, window, spare, .. } = *self;
        let (batch, width) = (lengths.len(), heads * head_width);
        let seen = window.map_or("all".to_owned(), |[l, r]| format!("{l},{r}"));
        let lens = lengths.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
        let detail = format!("{tag}/{batch}x{time}x{width}/h{heads}/w{seen}/len{lens}/spare{spare}");
        let mut b = CaseBuilder::new("rel_pos_attention", &detail);
        let dims = [batch, time, width];
        let q = b.input("q", &dims, Fill::Normal(self.sharpness));
        let [k, v] = ["k", "v"].map(|name| b.input(name, &dims, Fill::Normal(1.0)));
        let reach = |side: usize| side.min(time - 1) + spare;
        let [left, right] = window.unwrap_or([time; 2]).map(reach);
        let p = b.input("p", &[left + right + 1, width], Fill::Normal(1.0));
        let [u, w] =
            ["u", "w"].map(|name| b.weight(name, &[heads, head_width], DType::F32, Fill::Normal(0.5)));
        let lengths = b.ints("lengths", &[batch], lengths);
        let a = RelPosAttention {
            heads,
            scale: 1.0 / (head_width as f32).sqrt(),
            first_offset: left as i64,
            window,
        };
        let y = b.op(Op::RelPosAttention(a), &[q, k, v, p, u, w, lengths]);
        // A score of size s carries an error of u·s into the exponent; scores grow with the queries.
        b.finish(&[y], Bounds::ATTENTION.times(f64::from(self.sharpness.max(1.0)).powi(2)))
    }

    /// The same with queries, keys and values of `value` at and past the lengths, where nothing may look.
    fn hidden(&self, tag: &str, value: f32) -> Result<OpCase, LabError> {
        let case = self.case(tag)?;
        let mut arguments = case.arguments.clone();
        let row = self.heads * self.head_width;
        for sequence in arguments.inputs.iter_mut().take(3) {
            let Elements::F32(data) = sequence else { continue };
            for (clip, &length) in data.chunks_mut(self.time * row).zip(self.lengths) {
                clip[length as usize * row..].fill(value);
            }
        }
        Ok(case.with_arguments(arguments))
    }
}

pub(super) fn cases() -> Cases {
    let base = Attention {
        time: 33,
        heads: 2,
        head_width: 16,
        lengths: &[33],
        window: None,
        spare: 0,
        sharpness: 1.0,
    };
    let list = [
        ("0.6b", Attention { time: 138, heads: 8, head_width: 128, lengths: &[138], ..base }),
        ("110m", Attention { time: 138, heads: 8, head_width: 64, lengths: &[125], ..base }),
        ("110m-batch", Attention { time: 46, heads: 8, head_width: 64, lengths: &[46, 13, 1], ..base }),
        ("bucket", Attention { time: 40, heads: 4, head_width: 32, lengths: &[37], spare: 24, ..base }),
        (
            "local",
            Attention {
                time: 138,
                heads: 8,
                head_width: 64,
                lengths: &[138],
                window: Some([32, 32]),
                ..base
            },
        ),
        ("0.6b-30s", Attention { time: 375, heads: 2, head_width: 128, lengths: &[375], ..base }),
        (
            "0.6b-local",
            Attention {
                time: 300,
                heads: 2,
                head_width: 128,
                lengths: &[300, 171],
                window: Some([128, 128]),
                ..base
            },
        ),
        ("local-batch", Attention { lengths: &[33, 20, 0], window: Some([5, 3]), ..base }),
        ("local-spare", Attention { lengths: &[29], window: Some([4, 4]), spare: 7, ..base }),
        ("causal", Attention { window: Some([70, 0]), ..base }),
        ("ahead", Attention { window: Some([0, 6]), ..base }),
        ("self-only", Attention { window: Some([0, 0]), ..base }),
        ("wider-than-clip", Attention { window: Some([128, 128]), ..base }),
        ("one-frame", Attention { time: 1, lengths: &[1], ..base }),
        ("two-frames", Attention { time: 2, lengths: &[2, 1], ..base }),
        ("nothing-first", Attention { lengths: &[0, 33], ..base }),
        ("nothing", Attention { time: 5, lengths: &[0], ..base }),
        ("odd", Attention { time: 31, heads: 3, head_width: 17, lengths: &[31, 17], ..base }),
        ("one-head", Attention { time: 17, heads: 1, head_width: 33, lengths: &[16], ..base }),
        ("width-one", Attention { time: 9, heads: 5, head_width: 1, lengths: &[9], ..base }),
        ("wide", Attention { time: 21, head_width: 256, lengths: &[21, 11], ..base }),
        ("wide-odd", Attention { time: 19, heads: 1, head_width: 397, lengths: &[19], ..base }),
        ("widest", Attention { time: 18, heads: 1, head_width: 512, lengths: &[18], ..base }),
        // Tiles of other sizes than for few.
        ("many-heads", Attention { time: 70, heads: 90, head_width: 4, lengths: &[70, 69, 33, 1], ..base }),
        (
            "many-heads-local",
            Attention {
                time: 75,
                heads: 64,
                head_width: 6,
                lengths: &[75, 40, 74, 13],
                window: Some([9, 17]),
                spare: 2,
                ..base
            },
        ),
        ("many-wide", Attention { time: 34, heads: 67, head_width: 72, lengths: &[34, 31], ..base }),
        // Longer than any block of keys, with lengths at and beside its ends.
        ("long", Attention { time: 600, heads: 2, head_width: 24, lengths: &[600, 513], ..base }),
        ("long-batch", Attention { time: 530, heads: 1, head_width: 16, lengths: &[257, 256, 255], ..base }),
        (
            "long-window",
            Attention {
                time: 700,
                heads: 1,
                head_width: 20,
                lengths: &[700, 300],
                window: Some([130, 70]),
                ..base
            },
        ),
        ("long-sharp", Attention { time: 520, heads: 1, lengths: &[520], sharpness: 30.0, ..base }),
        ("sharp", Attention { time: 64, heads: 2, head_width: 64, lengths: &[64], sharpness: 30.0, ..base }),
        // Largest scores that grow from tile to tile, on matrix units of any size.
        (
            "wide-sharp",
            Attention { time: 203, head_width: 128, lengths: &[203, 130], sharpness: 30.0, ..base },
        ),
    ];
    let mut all: Vec<OpCase> =
        list.into_iter().map(|(tag, attention)| attention.case(tag)).collect::<Result<_, _>>()?;
    let batch = Attention { lengths: &[33, 20, 0, 1], ..base };
    all.push(batch.hidden("hidden", f32::NAN)?);
    let local = Attention { time: 150, lengths: &[149, 64, 65], window: Some([20, 3]), ..base };
    all.push(local.hidden("hidden-local", f32::INFINITY)?);
    Ok(all)
}
