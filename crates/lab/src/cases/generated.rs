//! Cases drawn at random: any op, ranks one to four, sizes around the edges of tiles and vectors.

use super::attention::Attention;
use super::convolution::{conv2d, depthwise};
use super::decoder::{self, Causal};
use super::delta::Delta;
use super::elementwise::{ACTIVATIONS, BINARY, binary, glu, scale, unary};
use super::experts::{self, Experts, Logits};
use super::norm::{argmax, batch_norm_scale, norm, softmax};
use super::product::Product;
use super::transducer::{self, Clip, TDT, Walk};
use super::{Cases, WEIGHT_TYPES, layout, sequence, vocoder};
use crate::bounds::Bounds;
use crate::case::{Fill, OpCase};
use crate::error::LabError;
use mynah_graph::{
    Activation, Conv1d, Conv2d, ConvTranspose1d, Epilogue, ExpertChoice, ExpertGateUp, ExpertWeights, Op,
    Rope, RouterScore,
};
use mynah_tensor::{DType, Rng};

/// `n` cases of a seed; the same seed gives the same cases everywhere.
///
/// # Errors
/// When a case can't be built, which would be a mistake in this crate.
pub fn generated(seed: u64, n: usize) -> Cases {
    /// Of so many cases the last is a transducer's, the one before an op of decoder language models, the one before that one of
    /// routed experts, the one before that one of speech synthesis.
    const EVERY: usize = 20;
    let mut draw = Draw { rng: Rng::new(seed) };
    // Draws of their own, so that these cases change none of the others.
    let mut transducers = Draw { rng: Rng::new(!seed) };
    let mut decoders = Draw { rng: Rng::new(seed.rotate_left(32) ^ 1) };
    let mut experts = Draw { rng: Rng::new(seed.rotate_left(32) ^ 2) };
    let mut vocoders = Draw { rng: Rng::new(seed.rotate_left(32) ^ 3) };
    let case = |i: usize| match i % EVERY {
        last if last + 1 == EVERY => transducers.transducer(&format!("random{seed}-{i}")),
        last if last + 2 == EVERY => decoders.decoder(&format!("random{seed}-{i}")),
        last if last + 3 == EVERY => experts.experts(&format!("random{seed}-{i}"), i / EVERY),
        last if last + 4 == EVERY => vocoders.vocoder(&format!("random{seed}-{i}"), i / EVERY),
        _ => draw.case(&format!("random{seed}-{}", i - 4 * (i / EVERY))),
    };
    (0..n).map(case).collect()
}

struct Draw {
    rng: Rng,
}

impl Draw {
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.below(from.len())]
    }

    fn coin(&mut self) -> bool {
        self.rng.below(2) == 1
    }

    /// An extent at or beside the multiples that kernels like.
    fn size(&mut self) -> usize {
        self.pick(&[1, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 64, 65])
    }

    /// A smaller one.
    fn small(&mut self) -> usize {
        1 + self.rng.below(5)
    }

    /// Dimensions of rank `1..=max`, the last from [`Draw::size`].
    fn dims(&mut self, max: usize) -> Vec<usize> {
        let rank = 1 + self.rng.below(max);
        let mut dims: Vec<usize> = (1..rank).map(|_| self.small()).collect();
        if rank == 2 && self.coin() {
            dims[0] = self.size();
        }
        dims.push(self.size());
        dims
    }

    fn fill(&mut self) -> Fill {
        self.pick(&[
            Fill::Normal(1.0),
            Fill::Normal(1.0),
            Fill::Around(2.0),
            Fill::Within(-9.0, 9.0),
            Fill::EqualRows,
        ])
    }

    fn epilogue(&mut self) -> Epilogue {
        // The reciprocal root of a negative sum is no number.
        let activation = self.pick(&ACTIVATIONS[..ACTIVATIONS.len() - 3]);
        Epilogue {
            bias: self.coin(),
            activation: self.coin().then_some(activation),
            scale: self.pick(&[1.0, 1.0, 0.5, -1.5]),
            residual: self.coin(),
        }
    }

    /// Lengths for a batch, the ends of the range among them.
    fn lengths(&mut self, batch: usize, time: usize) -> Vec<i32> {
        let length = |d: &mut Self| match d.rng.below(4) {
            0 => 0,
            1 => time as i32,
            2 => 1,
            _ => d.rng.below(time + 1) as i32,
        };
        (0..batch).map(|_| length(self)).collect()
    }

    fn case(&mut self, tag: &str) -> Result<OpCase, LabError> {
        match self.rng.below(20) {
            0..=3 => self.matmul(tag),
            4 => self.conv2d(tag),
            5 => {
                let x = [self.small(), self.size(), self.size()];
                let taps = self.pick(&[1, 2, 3, 5, 9]);
                let epilogue = self.epilogue();
                depthwise(tag, x, taps, self.plain_type(), [taps / 2, taps - 1 - taps / 2], epilogue)
            }
            6..=7 => {
                let f = self.pick(&ACTIVATIONS);
                let dims = self.dims(4);
                // In the tail of gelu 1 + tanh cancels, which shows where there is nothing else.
                let few = dims.iter().product::<usize>() < 16;
                unary(f, tag, &dims, if few { Fill::Within(-2.0, 2.0) } else { Fill::Normal(3.0) })
            }
            8..=9 => self.binary(tag),
            10 => {
                if self.coin() {
                    let dims = self.dims(4);
                    scale(tag, &dims, -0.7)
                } else {
                    let mut dims = self.dims(4);
                    dims.iter_mut().last().into_iter().for_each(|d| *d *= 2);
                    glu(tag, &dims, Fill::Normal(1.0))
                }
            }
            11..=12 => self.norm(tag),
            13 => {
                let (op, dims, fill) = (self.pick(&[0, 1]), self.dims(4), self.fill());
                let op = if op == 0 { Op::Softmax } else { Op::LogSoftmax };
                // The logarithm of a certainty is zero: one channel says nothing.
                let certain = dims.last() == Some(&1);
                softmax(if certain { Op::Softmax } else { op }, tag, &dims, fill)
            }
            14..=15 => self.attention(tag),
            16 => self.sequence(tag),
            17 => self.state(tag),
            _ => self.layout(tag),
        }
    }

    fn plain_type(&mut self) -> DType {
        self.pick(&[DType::F32, DType::F32, DType::F16, DType::BF16])
    }

    fn matmul(&mut self, tag: &str) -> Result<OpCase, LabError> {
        let dtype = self.pick(&WEIGHT_TYPES);
        let mut x = self.dims(4);
        let inner = match dtype.block_len() {
            1 => self.size(),
            block => block * self.small(),
        };
        x.iter_mut().last().into_iter().for_each(|d| *d = inner);
        let batch: usize = x.iter().rev().skip(1).product();
        // One sum that happens to cancel says nothing about a kernel.
        let rows = if batch < 16 { self.size().max(17) } else { self.size() };
        let (epilogue, fill) = (self.epilogue(), Fill::Normal(1.0));
        Product { x: &x, rows, dtype, epilogue, fill }.case(tag)
    }

    fn conv2d(&mut self, tag: &str) -> Result<OpCase, LabError> {
        let groups = self.small();
        let depthwise = self.coin();
        let group_in = if depthwise { 1 } else { self.small() };
        let group_out = self.small();
        let kernel = [self.pick(&[1, 2, 3]), self.pick(&[1, 3, 5])];
        let x =
            [self.small(), kernel[0] + self.rng.below(9), kernel[1] + self.rng.below(9), groups * group_in];
        let conv = Conv2d {
            stride: [1 + self.rng.below(2), 1 + self.rng.below(3)],
            pad_height: [self.rng.below(3), self.rng.below(3)],
            pad_width: [self.rng.below(3), self.rng.below(3)],
            groups,
            epilogue: self.epilogue(),
        };
        let dtype = self.plain_type();
        conv2d(tag, x, [groups * group_out, group_in, kernel[0], kernel[1]], dtype, conv)
    }

    fn binary(&mut self, tag: &str) -> Result<OpCase, LabError> {
        let left = self.dims(4);
        let drop = self.rng.below(left.len() + 1);
        let right: Vec<usize> =
            left[drop..].iter().map(|&extent| if self.rng.below(3) == 0 { 1 } else { extent }).collect();
        binary(self.pick(&BINARY), tag, &left, &right)
    }

    fn norm(&mut self, tag: &str) -> Result<OpCase, LabError> {
        let mut dims = self.dims(3);
        // The deviation of fewer than three elements can be tiny, and the error of the mean then large beside it.
        dims.iter_mut().last().into_iter().for_each(|d| *d = (*d).max(3));
        let dtype = self.plain_type();
        match self.rng.below(4) {
            0 => norm(
                Op::LayerNorm { eps: 1e-5 },
                tag,
                &dims,
                dtype,
                Fill::Normal(1.0),
                Bounds::ROW.times(10.0),
            ),
            1 => norm(Op::RmsNorm { eps: 1e-5 }, tag, &dims, dtype, self.fill(), Bounds::ROW),
            2 => norm(Op::BatchNorm { eps: 1e-5 }, tag, &dims, dtype, self.fill(), Bounds::ROW.times(10.0)),
            _ => batch_norm_scale(tag, self.size()),
        }
    }

    fn attention(&mut self, tag: &str) -> Result<OpCase, LabError> {
        let (time, batch) = (self.size(), self.small());
        let lengths = self.lengths(batch, time);
        let attention = Attention {
            time,
            heads: self.small(),
            head_width: self.size(),
            lengths: &lengths,
            window: self.coin().then(|| [self.rng.below(time + 2), self.rng.below(time + 2)]),
            spare: if self.coin() { self.small() } else { 0 },
            sharpness: self.pick(&[1.0, 1.0, 4.0]),
        };
        attention.case(tag)
    }

    fn sequence(&mut self, tag: &str) -> Result<OpCase, LabError> {
        match self.rng.below(3) {
            0 => return lstm(self, tag),
            1 => return self.delta(tag),
            _ => {}
        }
        let mut dims = vec![self.small(), self.size()];
        dims.extend((0..self.rng.below(3)).map(|_| self.small()));
        let lengths = self.lengths(dims[0], dims[1]);
        sequence::mask_rows(tag, &dims, &lengths)
    }

    fn delta(&mut self, tag: &str) -> Result<OpCase, LabError> {
        let (batch, time) = (self.small(), self.size());
        let (key_heads, shared) = (self.small(), 1 + self.rng.below(3));
        let per_channel = self.coin();
        let snapshots = 1 + self.rng.below(3);
        let sequences = (0..batch).map(|b| {
            let (length, from) = (self.rng.below(time + 1), self.rng.below(snapshots));
            [(batch - 1 - b) as i32, length as i32, from as i32]
        });
        let sequences = sequences.collect();
        let size = self.size();
        Delta { key_heads, heads: key_heads * shared, size, time, batch, per_channel, snapshots, sequences }
            .case(tag)
    }

    fn state(&mut self, tag: &str) -> Result<OpCase, LabError> {
        let (count, row) = (2 + self.small(), self.dims(2));
        let mut order: Vec<i32> = (0..count as i32).collect();
        for i in (1..count).rev() {
            order.swap(i, self.rng.below(i + 1));
        }
        order.truncate(1 + self.rng.below(count));
        match self.rng.below(3) {
            0 => sequence::state_gather(tag, count, &row, &order),
            1 => sequence::state_scatter(tag, count, &row, &order),
            _ => {
                let at = self.rng.below(count - order.len() + 1);
                sequence::state_append(tag, count, &row, order.len(), at as i64)
            }
        }
    }

    fn transducer(&mut self, tag: &str) -> Result<OpCase, LabError> {
        let (count, frames) = (self.small(), self.size());
        let clips: Vec<Clip> = (0..count)
            .map(|_| Clip {
                symbols: self.rng.below(4) as f32,
                logged: self.rng.below(70) as f32,
                ..Clip::new(self.rng.below(frames + 2), self.rng.below(frames + 1))
            })
            .collect();
        match self.rng.below(4) {
            0 => {
                let contents: Vec<f32> =
                    (0..count * 7).map(|_| 1.0 + self.rng.below(1 << 23) as f32).collect();
                transducer::state_numbers(tag, &contents, 7, &(0..count as i32).rev().collect::<Vec<_>>())
            }
            1 => {
                let steps: Vec<_> =
                    (0..count as i32).rev().map(|row| [row, i32::from(self.coin())]).collect();
                transducer::lstm_step(tag, count + 1, self.size(), &steps)
            }
            2 => transducer::join(tag, [frames, self.size(), self.small()], &clips),
            _ => Walk {
                clips: &clips,
                ahead: self.small(),
                blank: self.size(),
                durations: if self.coin() { &TDT } else { &[] },
                entries: self.small(),
                ties: self.coin(),
            }
            .case(tag),
        }
    }

    fn decoder(&mut self, tag: &str) -> Result<OpCase, LabError> {
        match self.rng.below(5) {
            0 => {
                let (f, dims) = (self.pick(&ACTIVATIONS[..5]), self.dims(4));
                let few = dims.iter().product::<usize>() < 16;
                decoder::gated(f, tag, &dims, if few { Fill::Within(0.5, 2.0) } else { Fill::Normal(2.0) })
            }
            1 => {
                let dims = self.dims(4);
                decoder::l2_norm(tag, &dims, 1e-6, self.fill())
            }
            2 => {
                let (time, width) = (self.size(), 2 * self.size());
                let dims = [self.small(), time, self.small(), width];
                let positions: Vec<i32> =
                    (0..dims[0] * time).map(|_| self.rng.below(1 << 18) as i32).collect();
                let turned = 2 * (1 + self.rng.below(width / 2));
                let scaling = self.pick(&[None, decoder::LLAMA3.scaling]);
                let rope = Rope { scaling, ..Rope::new(turned, self.pick(&[1e7, 1e4, 10.0])) };
                decoder::rope(tag, dims, rope, &positions)
            }
            3 => {
                let (batch, snapshots) = (self.small(), 1 + self.rng.below(4));
                let [time, channels] = [self.size(), self.size()];
                let taps = 2 + self.rng.below(4);
                let sequences: Vec<[i32; 3]> = (0..batch)
                    .map(|b| {
                        let (length, from) = (self.rng.below(time + 1), self.rng.below(snapshots));
                        [(batch - 1 - b) as i32, length as i32, from as i32]
                    })
                    .collect();
                let activation = self.coin().then_some(Activation::Silu);
                decoder::causal_conv(tag, [time, channels, taps], snapshots, activation, &sequences)
            }
            _ => {
                let (time, places) = (self.size(), self.size());
                let sequences: Vec<[i32; 2]> = (0..self.small())
                    .map(|_| [self.rng.below(100) as i32, self.rng.below(time + 1) as i32])
                    .collect();
                let most = sequences.iter().map(|s| (s[0] + s[1]) as usize).max().unwrap_or(0);
                let key_heads = self.small();
                Causal {
                    heads: key_heads * self.small(),
                    key_heads,
                    width: self.size(),
                    time,
                    places,
                    listed: most.div_ceil(places) + self.rng.below(2),
                    sequences,
                    sharpness: self.pick(&[1.0, 1.0, 4.0]),
                }
                .case(tag)
            }
        }
    }

    /// The families in turn, and the ops of each in turn.
    fn vocoder(&mut self, tag: &str, turn: usize) -> Result<OpCase, LabError> {
        let (batch, time, width) = (self.small(), self.size(), self.size());
        let again = turn / 4;
        match (turn % 4, again % 2) {
            (0, 0) => {
                let (taps, dilation) = (self.pick(&[1, 2, 3, 5, 7, 11]), self.pick(&[1, 1, 2, 3, 5]));
                let reach = dilation * (taps - 1);
                let left = self.rng.below(reach + 1);
                let pad = [left, reach - left + self.rng.below(3)];
                let conv = Conv1d { stride: 1 + self.rng.below(3), dilation, pad, epilogue: self.epilogue() };
                let out = [self.size().max(17), taps];
                vocoder::conv1d(tag, [batch, time, width], out, self.plain_type(), conv)
            }
            (0, _) => {
                let (taps, stride) = (self.pick(&[1, 2, 3, 7, 16]), self.pick(&[1, 2, 3, 5, 8]));
                let pad = [self.rng.below(taps / 2 + 1), self.rng.below(taps / 2 + 1)];
                let conv = ConvTranspose1d { stride, pad, epilogue: self.epilogue() };
                let out = [self.size().max(17), taps];
                vocoder::conv_transpose1d(tag, [batch, time + 1, width], out, self.plain_type(), conv)
            }
            (1, 0) => {
                let keys = if self.coin() { time } else { self.size() };
                let lengths = self.lengths(batch, keys);
                let (heads, sharpness) = (self.small(), self.pick(&[1.0, 1.0, 4.0]));
                vocoder::Full { queries: time, keys, heads, width, lengths: &lengths, sharpness }.case(tag)
            }
            (1, _) => {
                let window = 2 * (1 + self.rng.below(20));
                let hop = 1 + self.rng.below(window / 2);
                vocoder::inverse_stft(tag, [batch, 1 + time], window, hop)
            }
            (2, _) => match again % 4 {
                0 => {
                    let frequencies = self.pick(&[Fill::Within(0.1, 3.0), Fill::Normal(20.0)]);
                    vocoder::snake(tag, &[batch, time, width], Fill::Normal(2.0), frequencies)
                }
                1 => vocoder::clamp(tag, &self.dims(4), -0.5, self.pick(&[0.25, 2.0])),
                2 => vocoder::repeat_rows(tag, [batch, time, width], self.small()),
                _ => vocoder::segment_mean(tag, [batch, time, width], self.size()),
            },
            _ => {
                let f = vocoder::ACTIVATIONS[again % vocoder::ACTIVATIONS.len()];
                let dims = self.dims(4);
                // Where there is nothing else, near a root every error is large.
                let few = dims.iter().product::<usize>() < 16;
                unary(f, tag, &dims, if few { Fill::Within(0.5, 1.5) } else { Fill::Normal(3.0) })
            }
        }
    }

    /// The four ops in turn.
    fn experts(&mut self, tag: &str, turn: usize) -> Result<OpCase, LabError> {
        let experts = 1 + self.size();
        let used = 1 + self.rng.below(experts.min(5));
        let tokens = [self.small(), self.size()];
        let score = self.pick(&[RouterScore::Softmax, RouterScore::Sigmoid, RouterScore::SqrtSoftplus]);
        let logits = [tokens[0], tokens[1], experts];
        match turn % 4 {
            0 => {
                let bias = self.coin();
                let kind = if self.coin() && !bias { Logits::Ties } else { Logits::Apart };
                return experts::choice(tag, &logits, kind, ExpertChoice { used, score, bias });
            }
            1 => {
                let normalise = self.pick(&[None, Some(0.0), Some(0.25)]);
                let weights = ExpertWeights { score, normalise, scale: self.pick(&[1.0, -2.5]) };
                return experts::weights(tag, &logits, used, weights);
            }
            _ => {}
        }
        let dtype = self.pick(&WEIGHT_TYPES);
        let terms = match dtype.block_len() {
            1 => self.size(),
            block => block * (1 + self.rng.below(3)),
        };
        let experts = experts.min(8);
        let used = used.min(experts);
        let layer =
            Experts { tokens, experts, used, terms, rows: self.size().max(17), dtype, uneven: self.coin() };
        if turn % 4 == 2 {
            let (activation, limit) = (self.pick(&ACTIVATIONS[..5]), self.pick(&[None, Some(0.75)]));
            return layer.gate_up(tag, ExpertGateUp { activation, limit, fused: self.coin() }, &[]);
        }
        layer.down(tag, &[])
    }

    fn layout(&mut self, tag: &str) -> Result<OpCase, LabError> {
        let dims = self.dims(4);
        let axis = self.rng.below(dims.len());
        match self.rng.below(6) {
            0 => {
                let dtype = self.pick(&WEIGHT_TYPES);
                let ids = self.dims(2);
                let table = [1 + self.rng.below(40), dtype.block_len() * self.small()];
                layout::gather(tag, table, dtype, &ids)
            }
            1 => {
                let mut perm: Vec<usize> = (0..dims.len()).collect();
                for i in (1..perm.len()).rev() {
                    perm.swap(i, self.rng.below(i + 1));
                }
                layout::permute(tag, &dims, &perm)
            }
            2 => {
                let first = self.rng.below(dims[axis]);
                let len = 1 + self.rng.below(dims[axis] - first);
                layout::slice(tag, &dims, axis, first, len, self.coin())
            }
            3 => {
                let extents: Vec<usize> = (0..2 + self.rng.below(3)).map(|_| self.small()).collect();
                layout::concat(tag, &dims, axis, &extents)
            }
            4 => {
                let total = dims.iter().product();
                layout::reshape(tag, &dims, &[total, 1])
            }
            _ => argmax(tag, &dims, self.fill()),
        }
    }
}

fn lstm(draw: &mut Draw, tag: &str) -> Result<OpCase, LabError> {
    sequence::lstm_cell(tag, draw.small(), draw.size(), Fill::Normal(2.0))
}
