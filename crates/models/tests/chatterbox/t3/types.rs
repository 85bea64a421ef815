//! Any type on any tensor, the combinations that circulate among them.

use crate::fixtures::{Reference, altered, model_of, relative};
use crate::logits::forced;
use mynah_device::Policy;
use mynah_tensor::DType;

/// Tokens that are put in.
const TOKENS: usize = 12;

/// How far the logits of a case are from those of its own file when tensors have these types.
fn off(case: &str, policy: &Policy, dtype: impl Fn(&str) -> Option<DType>) -> f32 {
    let tokens = &Reference::of(case).tokens("greedy")[..TOKENS];
    let mut model = model_of(altered(case, &[], &[], dtype), policy.clone(), 2);
    let found = forced(&mut model, case, tokens, true);
    relative(&found, &Reference::of(case).array("logits")[..found.len()])
}

/// Whether a tensor's rows hold blocks, and it isn't a list of ids.
fn blocks(name: &str) -> bool {
    // 24, 80 and 90 numbers.
    let short = ["cond_spkr/w", "speech_head_bias", "builtin/", "emotion_adv_fc"];
    !short.iter().any(|part| name.contains(part))
}

#[test]
fn every_tensor_may_have_every_type() {
    for case in ["mtl", "turbo"] {
        for (dtype, bound) in [
            (DType::F32, 1e-5),
            (DType::F16, 2e-3),
            (DType::BF16, 2e-2),
            (DType::Q8_0, 5e-2),
            (DType::Q5_0, 0.3),
            (DType::Q4_0, 0.4),
        ] {
            let exact = off(case, &Policy::exact(), |name| blocks(name).then_some(dtype));
            assert!(exact <= bound, "{case}, {dtype}: {exact:e}");
            // Fast routes round operands, too.
            let fast = off(case, &Policy::default(), |name| blocks(name).then_some(dtype));
            assert!(fast <= bound + 5e-2, "{case}, {dtype}: {fast:e}");
        }
    }
}

#[test]
fn types_that_converters_have_mixed_up_load() {
    let exact = Policy::exact();
    // What a rule for `/g` and one for 3-D tensors made of a Q4_0 file.
    let error = off("mtl", &exact, |name| match name {
        "chatterbox/perceiver/pre_attention_query" => Some(DType::Q4_0),
        _ if name.ends_with("mlp/gate/w") => Some(DType::F16),
        _ if name.ends_with("/w") && blocks(name) && name.starts_with("model/") => Some(DType::Q4_0),
        _ => None,
    });
    assert!(error <= 0.7, "{error:e}");
    let error = off("turbo", &exact, |name| (name == "chatterbox/speech_head").then_some(DType::Q8_0));
    assert!(error <= 2e-2, "{error:e}");
    // The numbers of a voice, in a type that holds some of each.
    let error = off("mtl", &exact, |name| (name == "chatterbox/builtin/speaker_emb").then_some(DType::F16));
    assert!(error <= 1e-2, "{error:e}");
}
