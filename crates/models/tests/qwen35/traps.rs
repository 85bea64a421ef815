//! What is easily misread in the files: each misreading must move the logits, or the references would prove nothing; and weights
//! as quantisers store them.

use crate::fixtures::{file, model_of, nmse, reference, run, tensors, written};
use mynah_device::Policy;
use mynah_gguf::GgufFile;
use mynah_models::qwen35::Qwen35Config;
use mynah_tensor::{DType, HostTensor, Shape};
use std::sync::Arc;

/// A copy of a model in which each tensor is what `change` makes of its name, shape and elements.
fn changed(case: &str, change: impl Fn(&str, Shape, Vec<f32>) -> HostTensor) -> Arc<GgufFile> {
    let change = |(name, t): (String, HostTensor)| {
        let t = change(&name, t.shape(), t.to_f32());
        (name, t)
    };
    let tensors: Vec<_> = tensors(case).into_iter().map(change).collect();
    written(&file(case), &[], &tensors)
}

/// How far the logits of 64 tokens are from the reference.
fn error_of(case: &str, file: Arc<GgufFile>, policy: Policy) -> f64 {
    let mut model = model_of(file, policy, 2, 1);
    let (tokens, wanted) = reference(case);
    let found = run(&mut model, 0, &tokens, &[64]).unwrap();
    nmse(&found, &wanted[..found.len()])
}

/// A misreading: the tensors it is about, and what it makes of rows of so many elements.
type Misreading = (&'static str, &'static [&'static str], fn(&mut [f32], usize, &Qwen35Config));

fn plus_one(x: &mut [f32], _: usize, _: &Qwen35Config) {
    x.iter_mut().for_each(|x| *x += 1.0);
}

fn minus_one(x: &mut [f32], _: usize, _: &Qwen35Config) {
    x.iter_mut().for_each(|x| *x -= 1.0);
}

/// Puts block `order(i)` in place `i`.
fn reorder(x: &mut [f32], block: usize, order: impl Fn(usize) -> usize) {
    let old = x.to_vec();
    for (i, to) in x.chunks_exact_mut(block).enumerate() {
        to.copy_from_slice(&old[order(i) * block..(order(i) + 1) * block]);
    }
}

/// Heads in the order of their key heads, where the file has tiles of key heads.
fn grouped(x: &mut [f32], head: usize, config: &Qwen35Config) {
    let each = config.delta.heads / config.delta.key_heads;
    reorder(x, head, |i| i % each * config.delta.key_heads + i / each);
}

/// The same for tensors of one element a head.
fn grouped_elements(x: &mut [f32], _: usize, config: &Qwen35Config) {
    grouped(x, 1, config);
}

/// Value heads of the last of q, k and v.
fn grouped_values(x: &mut [f32], row: usize, config: &Qwen35Config) {
    let d = &config.delta;
    grouped(&mut x[2 * d.key_channels() * row..], d.width * row, config);
}

/// All queries before all gates, where the file has them head by head.
fn halves(x: &mut [f32], row: usize, config: &Qwen35Config) {
    let a = &config.attention;
    reorder(x, a.width * row, |i| i / 2 + i % 2 * a.heads);
}

const MISREADINGS: [Misreading; 14] = [
    ("the gated norm's gain is whole", &["ssm_norm.weight"], plus_one),
    ("one is in the gains already", &["attn_norm.weight", "post_attention_norm.weight"], plus_one),
    ("queries' and keys' gains too", &["attn_q_norm.weight", "attn_k_norm.weight"], minus_one),
    ("the last norm's too", &["output_norm.weight"], minus_one),
    ("the rate is no logarithm", &["ssm_a"], |x, _, _| x.iter_mut().for_each(|x| *x = -x.exp())),
    ("steps have a bias", &["ssm_dt.bias"], |x, _, _| x.fill(0.0)),
    ("rates are in tiles", &["ssm_a"], grouped_elements),
    ("step biases are in tiles", &["ssm_dt.bias"], grouped_elements),
    ("steps are in tiles", &["ssm_alpha.weight"], grouped),
    ("writing strengths are in tiles", &["ssm_beta.weight"], grouped),
    ("values are in tiles", &["attn_qkv.weight"], grouped_values),
    ("so are their taps", &["ssm_conv1d.weight"], grouped_values),
    ("gates are beside their queries", &["attn_q.weight"], halves),
    ("the convolution's last tap is now", &["ssm_conv1d.weight"], |x, row, _| {
        x.chunks_exact_mut(row).for_each(<[f32]>::reverse);
    }),
];

/// The second half of each key head's rows first.
fn turned(x: &mut [f32], row: usize, config: &Qwen35Config) {
    let own = config.delta.heads / config.delta.key_heads;
    reorder(x, own * row, |i| i ^ 1);
}

/// Value heads in tiles of key heads, where the file has the heads of one key head side by side.
fn in_tiles(x: &mut [f32], head: usize, config: &Qwen35Config) {
    let own = config.delta.heads / config.delta.key_heads;
    reorder(x, head, |i| i % config.delta.key_heads * own + i / config.delta.key_heads);
}

/// The other expert's row in each place.
fn shifted(x: &mut [f32], row: usize, _: &Qwen35Config) {
    x.rotate_left(row);
}

const OF_EXPERTS: [Misreading; 6] = [
    ("one gate lets the shared expert through", &["ffn_gate_inp_shexp.weight"], |x, _, _| x.fill(0.0)),
    ("routers choose", &["ffn_gate_inp.weight"], shifted),
    ("routers decide weights", &["ffn_gate_inp.weight"], |x, _, _| x.iter_mut().for_each(|x| *x *= 0.5)),
    ("the shared expert is one more", &["ffn_down_shexp.weight"], |x, _, _| x.fill(0.0)),
    ("gates are not ups", &["ffn_gate_exps.weight", "ffn_gate_shexp.weight"], |x, _, _| x.reverse()),
    ("downs belong to their experts", &["ffn_down_exps.weight"], |x, row, _| x.rotate_left(48 * row)),
];

const OF_NEXT: [Misreading; 5] = [
    ("b is before a in each key head", &["ssm_ba.weight"], turned),
    ("rates are in the order of key heads", &["ssm_a"], |x, _, config| in_tiles(x, 1, config)),
    ("step biases too", &["ssm_dt.bias"], |x, _, config| in_tiles(x, 1, config)),
    ("z too", &["attn_gate.weight"], |x, row, config| in_tiles(x, config.delta.width * row, config)),
    ("the gated norm's gain is whole", &["ssm_norm.weight"], plus_one),
];

#[test]
fn misreadings_move_the_logits() {
    let same = |_: &str, shape: Shape, x: Vec<f32>| HostTensor::from_f32(shape, &x).unwrap();
    let cases = [("dense", &MISREADINGS[..]), ("tied_odd", &MISREADINGS)];
    for (case, misreadings) in cases.into_iter().chain([("experts", &OF_EXPERTS[..]), ("next", &OF_NEXT)]) {
        assert!(error_of(case, changed(case, same), Policy::exact()) < 1e-9);
        let config = Qwen35Config::read(&file(case)).unwrap();
        for &(what, names, misread) in misreadings {
            let wrong = changed(case, |name, shape, mut x| {
                if names.iter().any(|n| name.ends_with(&format!(".{n}")) || name == *n) {
                    misread(&mut x, shape.last(), &config);
                }
                same(name, shape, x)
            });
            let error = error_of(case, wrong, Policy::exact());
            assert!(error > 1e-3, "{case}: '{what}' can be misread: {error:e}");
        }
    }
}

#[test]
fn stored_types_load_and_stay_near() {
    let bounds = [(DType::F16, 1e-5), (DType::BF16, 5e-4), (DType::Q8_0, 3e-3), (DType::Q4_0, 0.4)];
    for (dtype, bound) in bounds {
        for case in ["dense", "equal_heads"] {
            let file = changed(case, |name, shape, x| {
                let tensor = HostTensor::from_f32(shape, &x).unwrap();
                let stays = shape.rank() < 2 || name.ends_with("ssm_conv1d.weight");
                if stays || shape.last() % 32 > 0 { tensor } else { tensor.to_dtype(dtype).unwrap() }
            });
            let exact = error_of(case, Arc::clone(&file), Policy::exact());
            assert!(exact <= bound, "{case} in {dtype}: {exact:e}");
            let fast = error_of(case, file, Policy::default());
            assert!(fast <= bound + 3e-3, "{case} in {dtype}, fast: {fast:e}");
        }
    }
}
