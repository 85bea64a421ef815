//! Products and convolutions, and the epilogue they carry.

use super::{Tensor64, elementwise::activate};
use crate::op::{Conv2d, Epilogue};
use crate::vocoder::{Conv1d, ConvTranspose1d};
use mynah_tensor::Shape;

pub(super) fn matmul(e: &Epilogue, operands: &[&Tensor64], out: Shape) -> Vec<f64> {
    let (x, w) = (operands[0], operands[1]);
    if x.shape.last() == 0 {
        return finish(e, &operands[2..], vec![0.0; out.numel()], out.last());
    }
    let products = x.rows().flat_map(|row| w.rows().map(move |weights| dot(row, weights)));
    finish(e, &operands[2..], products.collect(), out.last())
}

/// A dot product in eight partial sums. In f64 their order is far below what is measured, and one running sum would
/// make the reference of a real layer eight times slower.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a_lanes, b_lanes) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a_lanes.remainder().iter().zip(b_lanes.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_lanes.zip(b_lanes) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f64>() + rest
}

pub(super) fn conv2d(c: &Conv2d, operands: &[&Tensor64], out: Shape) -> Vec<f64> {
    let (x, w) = (operands[0], operands[1]);
    let ([_, height, width, cin], [cout, group_in, kh, kw]) = (dims4(x.shape), dims4(w.shape));
    let [batch, out_height, out_width, _] = dims4(out);
    let group_out = cout / c.groups;
    let mut acc = Vec::with_capacity(out.numel());
    for b in 0..batch {
        for oy in 0..out_height {
            for ox in 0..out_width {
                for co in 0..cout {
                    let first_in = co / group_out * group_in;
                    let mut sum = 0.0;
                    for ky in 0..kh {
                        let Some(y) = inside(oy * c.stride[0] + ky, c.pad_height[0], height) else {
                            continue;
                        };
                        for kx in 0..kw {
                            let Some(x_) = inside(ox * c.stride[1] + kx, c.pad_width[0], width) else {
                                continue;
                            };
                            let pixel = ((b * height + y) * width + x_) * cin + first_in;
                            for ci in 0..group_in {
                                let weight = w.data[((co * group_in + ci) * kh + ky) * kw + kx];
                                sum += x.data[pixel + ci] * weight;
                            }
                        }
                    }
                    acc.push(sum);
                }
            }
        }
    }
    finish(&c.epilogue, &operands[2..], acc, cout)
}

pub(super) fn depthwise_conv1d(
    pad: [usize; 2],
    e: &Epilogue,
    operands: &[&Tensor64],
    out: Shape,
) -> Vec<f64> {
    let (x, w) = (operands[0], operands[1]);
    let &[batch, time, channels] = x.shape.dims() else { return Vec::new() };
    let (kernel, out_time) = (w.shape.last(), out.dims()[1]);
    let mut acc = Vec::with_capacity(out.numel());
    for b in 0..batch {
        for t in 0..out_time {
            for c in 0..channels {
                let tap = |k: usize| {
                    let row = inside(t + k, pad[0], time)?;
                    Some(x.data[(b * time + row) * channels + c] * w.data[c * kernel + k])
                };
                acc.push((0..kernel).filter_map(tap).sum());
            }
        }
    }
    finish(e, &operands[2..], acc, channels)
}

pub(super) fn conv1d(c: &Conv1d, operands: &[&Tensor64], out: Shape) -> Vec<f64> {
    let (x, w) = (operands[0], operands[1]);
    let (&[batch, time, inputs], taps) = (dims3(&x.shape), w.shape.last());
    let &[_, frames, channels] = dims3(&out);
    // A kernel for each tap, so that sums over input channels run along memory.
    let kernels: Vec<Vec<f64>> =
        (0..taps).map(|k| w.data.iter().skip(k).step_by(taps).copied().collect()).collect();
    let mut acc = vec![0.0; out.numel()];
    for (row, sums) in acc.chunks_exact_mut(channels.max(1)).enumerate().take(batch * frames) {
        let (b, t) = (row / frames, row % frames);
        for (k, kernel) in kernels.iter().enumerate() {
            let Some(at) = inside(t * c.stride + k * c.dilation, c.pad[0], time) else { continue };
            let input = &x.data[(b * time + at) * inputs..][..inputs];
            for (channel, sum) in sums.iter_mut().enumerate() {
                *sum += dot(input, &kernel[channel * inputs..][..inputs]);
            }
        }
    }
    finish(&c.epilogue, &operands[2..], acc, channels)
}

pub(super) fn conv_transpose1d(c: &ConvTranspose1d, operands: &[&Tensor64], out: Shape) -> Vec<f64> {
    let (x, w) = (operands[0], operands[1]);
    let (&[batch, time, inputs], taps) = (dims3(&x.shape), w.shape.last());
    let &[_, frames, channels] = dims3(&out);
    let mut acc = vec![0.0; out.numel()];
    for b in 0..batch {
        for t in 0..time {
            for k in 0..taps {
                let Some(at) = inside(t * c.stride + k, c.pad[0], frames) else { continue };
                let sums = &mut acc[(b * frames + at) * channels..][..channels];
                for (input, &value) in x.data[(b * time + t) * inputs..][..inputs].iter().enumerate() {
                    for (channel, sum) in sums.iter_mut().enumerate() {
                        *sum += value * w.data[(input * channels + channel) * taps + k];
                    }
                }
            }
        }
    }
    finish(&c.epilogue, &operands[2..], acc, channels)
}

/// `scale · act(acc + bias) + residual`.
fn finish(e: &Epilogue, extra: &[&Tensor64], mut acc: Vec<f64>, channels: usize) -> Vec<f64> {
    let bias = e.bias.then(|| extra[0]);
    let residual = e.residual.then(|| extra[usize::from(e.bias)]);
    for (i, v) in acc.iter_mut().enumerate() {
        *v += bias.map_or(0.0, |b| b.data[i % channels]);
        *v = f64::from(e.scale) * e.activation.map_or(*v, |f| activate(f, *v));
        *v += residual.map_or(0.0, |r| r.data[i]);
    }
    acc
}

/// A padded coordinate as one of the input, `None` in the padding.
fn inside(padded: usize, before: usize, extent: usize) -> Option<usize> {
    padded.checked_sub(before).filter(|&i| i < extent)
}

fn dims3(shape: &Shape) -> &[usize; 3] {
    shape.dims().try_into().unwrap_or(&[0; 3])
}

fn dims4(shape: Shape) -> [usize; 4] {
    shape.dims().try_into().unwrap_or([0; 4])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{close, evaluate, normal, t};
    use super::*;
    use crate::op::{Activation, Op};

    fn plain_conv(stride: usize, pad: usize, groups: usize) -> Conv2d {
        Conv2d {
            stride: [stride; 2],
            pad_height: [pad; 2],
            pad_width: [pad; 2],
            groups,
            epilogue: Epilogue::default(),
        }
    }

    #[test]
    fn matmul_multiplies_by_the_transpose() {
        // [1 2 3]·[1 0 -1] = -2, [1 2 3]·[2 1 0] = 4; second row [0 1 -1]: 1 and 1.
        let x = t([2, 3], &[1., 2., 3., 0., 1., -1.]);
        let w = t([2, 3], &[1., 0., -1., 2., 1., 0.]);
        let y = evaluate(Op::MatMul(Epilogue::default()), &[&x, &w]).unwrap();
        assert_eq!(y, t([2, 2], &[-2., 4., 1., 1.]));
    }

    #[test]
    fn matmul_keeps_leading_dimensions_and_long_rows() {
        let x = normal([2, 3, 19], 1);
        let w = normal([4, 19], 2);
        let y = evaluate(Op::MatMul(Epilogue::default()), &[&x, &w]).unwrap();
        assert_eq!(y.shape.dims(), [2, 3, 4]);
        let by_hand: f64 = (0..19).map(|k| x.data[19 * 4 + k] * w.data[19 * 2 + k]).sum();
        close(y.data[4 * 4 + 2], by_hand);
    }

    #[test]
    fn the_epilogue_scales_the_activation_and_adds_the_residual_last() {
        // acc = [2, -3]; + bias [-1, 1] = [1, -2]; relu [1, 0]; * 0.5 = [0.5, 0]; + residual [10, 20].
        let e = Epilogue { bias: true, activation: Some(Activation::Relu), scale: 0.5, residual: true };
        let x = t([1, 1], &[1.]);
        let (w, bias, residual) = (t([2, 1], &[2., -3.]), t([2], &[-1., 1.]), t([1, 2], &[10., 20.]));
        let y = evaluate(Op::MatMul(e), &[&x, &w, &bias, &residual]).unwrap();
        assert_eq!(y.data, [10.5, 20.]);
        // Without a bias the residual is the third operand.
        let e = Epilogue { bias: false, ..e };
        let y = evaluate(Op::MatMul(e), &[&x, &w, &residual]).unwrap();
        assert_eq!(y.data, [11., 20.]);
    }

    #[test]
    fn an_empty_inner_dimension_sums_to_zero() {
        let y = evaluate(Op::MatMul(Epilogue::default()), &[&t([2, 0], &[]), &t([3, 0], &[])]).unwrap();
        assert_eq!(y, t([2, 3], &[0.; 6]));
    }

    #[test]
    fn conv2d_slides_over_the_padded_image() {
        // A 2×2 image [[1 2] [3 4]] padded by one, 3×3 kernel 1..9, stride 2: one output at the top left corner:
        // 1·5 + 2·6 + 3·8 + 4·9 = 77.
        let x = t([1, 2, 2, 1], &[1., 2., 3., 4.]);
        let w = t([1, 1, 3, 3], &[1., 2., 3., 4., 5., 6., 7., 8., 9.]);
        let y = evaluate(Op::Conv2d(plain_conv(2, 1, 1)), &[&x, &w]).unwrap();
        assert_eq!(y, t([1, 1, 1, 1], &[77.]));
        // Stride 1 gives all four corners; bottom right: 1·1 + 2·2 + 3·4 + 4·5 = 37.
        let y = evaluate(Op::Conv2d(plain_conv(1, 1, 1)), &[&x, &w]).unwrap();
        assert_eq!(y, t([1, 2, 2, 1], &[77., 67., 47., 37.]));
    }

    #[test]
    fn conv2d_pads_each_side_on_its_own() {
        // Width only, one column on the right: kernel [1 10] over [1 2 0] gives 21, 2.
        let conv = Conv2d {
            stride: [1, 1],
            pad_height: [0, 0],
            pad_width: [0, 1],
            groups: 1,
            epilogue: Epilogue::default(),
        };
        let y =
            evaluate(Op::Conv2d(conv), &[&t([1, 1, 2, 1], &[1., 2.]), &t([1, 1, 1, 2], &[1., 10.])]).unwrap();
        assert_eq!(y, t([1, 1, 2, 1], &[21., 2.]));
    }

    #[test]
    fn conv2d_groups_see_their_own_channels() {
        // Two groups of two input and one output channel: [1 2|3 4] · [1 1|10 100] = 3, 430.
        let x = t([1, 1, 1, 4], &[1., 2., 3., 4.]);
        let w = t([2, 2, 1, 1], &[1., 1., 10., 100.]);
        let e = Epilogue { bias: true, ..Epilogue::default() };
        let conv = Conv2d { epilogue: e, ..plain_conv(1, 0, 2) };
        let y = evaluate(Op::Conv2d(conv), &[&x, &w, &t([2], &[0.5, -1.])]).unwrap();
        assert_eq!(y.data, [3.5, 429.]);
    }

    #[test]
    fn a_pointwise_conv2d_is_a_matrix_product() {
        let x = normal([2, 3, 4, 5], 3);
        let w = normal([6, 5], 4);
        let product = evaluate(Op::MatMul(Epilogue::default()), &[&x, &w]).unwrap();
        let kernel = Tensor64 { shape: [6, 5, 1, 1].into(), data: w.data };
        let conv = evaluate(Op::Conv2d(plain_conv(1, 0, 1)), &[&x, &kernel]).unwrap();
        assert_eq!(conv.shape, product.shape);
        conv.data.iter().zip(&product.data).for_each(|(a, b)| close(*a, *b));
    }

    #[test]
    fn depthwise_keeps_channels_apart() {
        // Two channels over three frames, kernel of 3, one frame of padding on each side.
        // Channel 0: [1 2 3] by [1 10 100]: 0·1+1·10+2·100 = 210, 321, 32. Channel 1: [4 5 6] by [0 1 0]: itself.
        let x = t([1, 3, 2], &[1., 4., 2., 5., 3., 6.]);
        let w = t([2, 1, 3], &[1., 10., 100., 0., 1., 0.]);
        let op = Op::DepthwiseConv1d { pad: [1, 1], epilogue: Epilogue::default() };
        let y = evaluate(op, &[&x, &w]).unwrap();
        assert_eq!(y, t([1, 3, 2], &[210., 4., 321., 5., 32., 6.]));
    }

    #[test]
    fn depthwise_can_be_causal() {
        // Two frames on the left only: [1 2] by [1 10 100] gives 100, 10 + 200.
        let op = Op::DepthwiseConv1d { pad: [2, 0], epilogue: Epilogue::default() };
        let y = evaluate(op, &[&t([1, 2, 1], &[1., 2.]), &t([1, 1, 3], &[1., 10., 100.])]).unwrap();
        assert_eq!(y.data, [100., 210.]);
    }

    #[test]
    fn depthwise_equals_a_grouped_conv2d() {
        let (x, w) = (normal([2, 7, 3], 5), normal([3, 1, 5], 6));
        let bias = normal([3], 7);
        let epilogue =
            Epilogue { bias: true, activation: Some(Activation::Silu), scale: 2.0, residual: false };
        let depthwise = Op::DepthwiseConv1d { pad: [2, 2], epilogue };
        let a = evaluate(depthwise, &[&x, &w, &bias]).unwrap();
        let conv = Conv2d { stride: [1; 2], pad_height: [2; 2], pad_width: [0; 2], groups: 3, epilogue };
        let image = Tensor64 { shape: [2, 7, 1, 3].into(), data: x.data };
        let kernel = Tensor64 { shape: [3, 1, 5, 1].into(), data: w.data };
        let b = evaluate(Op::Conv2d(conv), &[&image, &kernel, &bias]).unwrap();
        a.data.iter().zip(&b.data).for_each(|(a, b)| close(*a, *b));
    }

    fn plain_line(stride: usize, dilation: usize, pad: [usize; 2]) -> Op {
        Op::Conv1d(Conv1d { stride, dilation, pad, epilogue: Epilogue::default() })
    }

    #[test]
    fn conv1d_slides_over_padded_frames() {
        // Two channels over three frames, one output channel: taps [1 10] over channel 0, [0 100] over channel 1.
        let x = t([1, 3, 2], &[1., 4., 2., 5., 3., 6.]);
        let w = t([1, 2, 2], &[1., 10., 0., 100.]);
        // Frame t sees t − 1 and t: 10·1 + 100·4; 1 + 20 + 500; 2 + 30 + 600.
        let y = evaluate(plain_line(1, 1, [1, 0]), &[&x, &w]).unwrap();
        assert_eq!(y, t([1, 3, 1], &[410., 521., 632.]));
        // Taps two frames apart and two frames of padding on the right: 1 + 30 + 600, 2, 3.
        let y = evaluate(plain_line(1, 2, [0, 2]), &[&x, &w]).unwrap();
        assert_eq!(y, t([1, 3, 1], &[631., 2., 3.]));
        // Every second window of the first.
        let y = evaluate(plain_line(2, 1, [1, 0]), &[&x, &w]).unwrap();
        assert_eq!(y, t([1, 2, 1], &[410., 632.]));
    }

    #[test]
    fn conv1d_is_a_conv2d_one_pixel_wide() {
        let epilogue =
            Epilogue { bias: true, activation: Some(Activation::Elu), scale: -0.5, residual: true };
        let (x, w, bias) = (normal([2, 11, 3], 8), normal([4, 3, 5], 9), normal([4], 10));
        let residual = normal([2, 5, 4], 11);
        let line = Op::Conv1d(Conv1d { stride: 2, dilation: 1, pad: [2, 1], epilogue });
        let a = evaluate(line, &[&x, &w, &bias, &residual]).unwrap();
        let conv = Conv2d { stride: [2, 1], pad_height: [2, 1], pad_width: [0, 0], groups: 1, epilogue };
        let image =
            |x: &Tensor64, [b, t, c]: [usize; 3]| Tensor64::new([b, t, 1, c], x.data.clone()).unwrap();
        let kernel = Tensor64::new([4, 3, 5, 1], w.data.clone()).unwrap();
        let (image, residual) = (image(&x, [2, 11, 3]), image(&residual, [2, 5, 4]));
        let b = evaluate(Op::Conv2d(conv), &[&image, &kernel, &bias, &residual]).unwrap();
        assert_eq!(a.data.len(), b.data.len());
        a.data.iter().zip(&b.data).for_each(|(a, b)| close(*a, *b));
    }

    #[test]
    fn conv_transpose1d_lays_kernels_side_by_side() {
        // One channel: 2 and 3 by [1 10 100], two frames apart: [2 20 200 0 0] + [0 0 3 30 300].
        let (x, w) = (t([1, 2, 1], &[2., 3.]), t([1, 1, 3], &[1., 10., 100.]));
        let of = |pad| {
            let conv = ConvTranspose1d { stride: 2, pad, epilogue: Epilogue::default() };
            evaluate(Op::ConvTranspose1d(conv), &[&x, &w]).unwrap().data
        };
        assert_eq!(of([0, 0]), [2., 20., 203., 30., 300.]);
        assert_eq!(of([1, 2]), [20., 203.]);
    }

    #[test]
    fn conv_transpose1d_is_the_adjoint_of_conv1d() {
        // ⟨conv(x), y⟩ = ⟨x, transpose(y)⟩ for any x and y, the kernel being the very same one.
        let (x, w) = (normal([1, 9, 3], 12), normal([4, 3, 4], 13));
        let conv = evaluate(plain_line(3, 1, [1, 0]), &[&x, &w]).unwrap();
        let y = normal([1, 3, 4], 14);
        assert_eq!(conv.shape, y.shape);
        let transpose = ConvTranspose1d { stride: 3, pad: [1, 0], epilogue: Epilogue::default() };
        let back = evaluate(Op::ConvTranspose1d(transpose), &[&y, &w]).unwrap();
        assert_eq!(back.shape, x.shape);
        close(dot(&conv.data, &y.data), dot(&x.data, &back.data));
    }
}
