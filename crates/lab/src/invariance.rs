//! What must not change a result by a single bit: the number of threads, running again, the other clips of a batch,
//! and whatever lies in the padding.

use crate::case::{Expect, OpCase};
use crate::elements::{Arguments, Elements, Values};
use crate::error::LabError;
use crate::program::Program;
use crate::run::{Status, status_of};
use mynah_device::{Device, Policy};
use mynah_tensor::Shape;
use std::sync::Arc;

/// Opens the device under test with a number of threads.
pub type Factory<'a> = dyn Fn(usize) -> Arc<dyn Device> + 'a;

/// One comparison and how it went.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was varied: `threads`, `repeat`, `batch` or `padding`.
    pub kind: &'static str,
    /// The case.
    pub case: String,
    /// How it went.
    pub status: Status,
}

/// Runs every comparison that applies to these cases.
pub fn check(cases: &[OpCase], open: &Factory<'_>, policy: &Policy) -> Vec<Check> {
    let mut checks = Vec::new();
    for case in cases.iter().filter(|c| c.expect == Expect::Values) {
        let mut note = |kind, result: Result<(), Difference>| {
            let status = result.map_or_else(Difference::into_status, |()| Status::Passed);
            checks.push(Check { kind, case: case.name.clone(), status });
        };
        note("threads", threads(case, open, policy));
        note("repeat", repeat(case, open, policy));
        if let Some(batch) = batch_of(case) {
            note("batch", single_rows(case, batch, open, policy));
        }
        if has_padding(case) {
            note("padding", padding(case, open, policy));
        }
    }
    checks
}

/// Why two runs can't be called the same.
enum Difference {
    Bits(String),
    Error(LabError),
}

impl<E: Into<LabError>> From<E> for Difference {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

impl Difference {
    fn into_status(self) -> Status {
        match self {
            Self::Bits(text) => Status::Failed(text),
            Self::Error(e) => status_of(&e),
        }
    }
}

fn run(case: &OpCase, device: &dyn Device, policy: &Policy) -> Result<Values, LabError> {
    Program::new(&case.graph, case.weights.as_ref(), device, policy)?.run(&case.arguments)
}

fn same(what: &str, found: &[u32], wanted: &[u32]) -> Result<(), Difference> {
    let first = found.iter().zip(wanted).position(|(f, w)| f != w);
    match first {
        None if found.len() == wanted.len() => Ok(()),
        None => Err(Difference::Bits(format!("{what}: {} elements, not {}", found.len(), wanted.len()))),
        Some(i) => {
            let (f, w) = (f32::from_bits(found[i]), f32::from_bits(wanted[i]));
            let count = found.iter().zip(wanted).filter(|(f, w)| f != w).count();
            Err(Difference::Bits(format!(
                "{what}: {count} elements differ; the first, {i}, is {f:e} and not {w:e}"
            )))
        }
    }
}

/// One, two and three threads: three divides hardly any extent, so pieces end everywhere.
fn threads(case: &OpCase, open: &Factory<'_>, policy: &Policy) -> Result<(), Difference> {
    let alone = run(case, open(1).as_ref(), policy)?.bits();
    for count in [2, 3] {
        let found = run(case, open(count).as_ref(), policy)?.bits();
        same(&format!("{count} threads against 1"), &found, &alone)?;
    }
    Ok(())
}

/// The same program again, with another run between that leaves other bytes behind, and a fresh session.
fn repeat(case: &OpCase, open: &Factory<'_>, policy: &Policy) -> Result<(), Difference> {
    let device = open(2);
    let mut program = Program::new(&case.graph, case.weights.as_ref(), device.as_ref(), policy)?;
    let first = program.run(&case.arguments)?.bits();
    let inputs = case.arguments.inputs.iter().map(|e| match e {
        Elements::F32(v) => Elements::F32(v.iter().map(|x| 2.0 - x).collect()),
        Elements::I32(v) => Elements::I32(v.clone()),
    });
    program.run(&Arguments { inputs: inputs.collect(), ..case.arguments.clone() })?;
    same("second run", &program.run(&case.arguments)?.bits(), &first)?;
    same("fresh session", &run(case, device.as_ref(), policy)?.bits(), &first)
}

/// Number of rows along the first dimension, when every input and output but tables has it and rows don't mix.
fn batch_of(case: &OpCase) -> Option<usize> {
    let per_row = ["matmul", "conv2d", "depthwise_conv1d", "glu", "layer_norm", "rms_norm", "batch_norm"];
    let more = ["softmax", "log_softmax", "argmax", "mask_rows", "rel_pos_attention", "lstm_cell"];
    let experts = ["expert_choice", "expert_weights", "expert_gate_up", "expert_down"];
    if !per_row.iter().chain(&more).chain(&experts).any(|op| *op == case.op)
        || case.name.contains("computed-weight")
    {
        return None;
    }
    let (_, output) = case.graph.outputs().first()?;
    // The one dimension of a vector is its channels.
    if case.graph.inputs().first().is_none_or(|id| case.graph.shape(*id).rank() < 2) {
        return None;
    }
    let batch = *case.graph.shape(*output).dims().first()?;
    let fits = |id| shared_by_rows(case, id) || case.graph.shape(id).dims().first() == Some(&batch);
    (batch > 1 && case.graph.inputs().iter().all(|id| fits(*id))).then_some(batch)
}

/// The position table is the one input that all clips of a batch read.
fn shared_by_rows(case: &OpCase, input: mynah_graph::ValueId) -> bool {
    case.op == "rel_pos_attention" && case.graph.value(input).name == "p"
}

/// The first, a middle and the last row by themselves.
fn single_rows(case: &OpCase, batch: usize, open: &Factory<'_>, policy: &Policy) -> Result<(), Difference> {
    let device = open(2);
    let together = run(case, device.as_ref(), policy)?;
    let Some(together) = together.outputs.first().map(Elements::bits) else { return Ok(()) };
    let row_len = together.len() / batch;
    for row in [0, batch / 2, batch - 1] {
        let mut inputs = Vec::new();
        for (&id, elements) in case.graph.inputs().iter().zip(&case.arguments.inputs) {
            let shape = case.graph.shape(id);
            if shared_by_rows(case, id) {
                inputs.push((shape, elements.clone()));
                continue;
            }
            let mut dims = shape.dims().to_vec();
            dims[0] = 1;
            let len = shape.numel() / batch;
            inputs.push((Shape::new(&dims)?, cut(elements, row * len..(row + 1) * len)));
        }
        let alone = run(&case.with_inputs(inputs)?, device.as_ref(), policy)?;
        let alone = alone.outputs.first().map(Elements::bits).unwrap_or_default();
        same(&format!("row {row} of {batch}"), &together[row * row_len..(row + 1) * row_len], &alone)?;
    }
    Ok(())
}

fn cut(elements: &Elements, range: std::ops::Range<usize>) -> Elements {
    match elements {
        Elements::F32(v) => Elements::F32(v[range].to_vec()),
        Elements::I32(v) => Elements::I32(v[range].to_vec()),
    }
}

fn lengths_of(case: &OpCase) -> Option<&[i32]> {
    let named = case.graph.inputs().iter().position(|id| case.graph.value(*id).name == "lengths")?;
    match case.arguments.inputs.get(named)? {
        Elements::I32(lengths) => Some(lengths),
        Elements::F32(_) => None,
    }
}

/// The extent of time, for inputs `[batch, time, ..]`.
fn time_of(case: &OpCase) -> Option<usize> {
    case.graph.inputs().first().and_then(|id| case.graph.shape(*id).dims().get(1).copied())
}

fn has_padding(case: &OpCase) -> bool {
    let (Some(lengths), Some(time)) = (lengths_of(case), time_of(case)) else { return false };
    ["mask_rows", "rel_pos_attention"].contains(&case.op) && lengths.iter().any(|&l| (l as usize) < time)
}

/// Huge numbers and NaN in the padding, then no padding at all.
fn padding(case: &OpCase, open: &Factory<'_>, policy: &Policy) -> Result<(), Difference> {
    let (Some(lengths), Some(time)) = (lengths_of(case), time_of(case)) else { return Ok(()) };
    let device = open(2);
    let plain = run(case, device.as_ref(), policy)?;
    for garbage in [1e30, f32::NAN] {
        let spoil = |(&id, elements): (&mynah_graph::ValueId, &Elements)| match elements {
            Elements::F32(v) if !shared_by_rows(case, id) => {
                let mut v = v.clone();
                let row = v.len() / (lengths.len() * time).max(1);
                for (b, &length) in lengths.iter().enumerate() {
                    v[(b * time + length as usize) * row..(b + 1) * time * row].fill(garbage);
                }
                Elements::F32(v)
            }
            other => other.clone(),
        };
        let inputs = case.graph.inputs().iter().zip(&case.arguments.inputs).map(spoil).collect();
        let spoiled = case.with_arguments(Arguments { inputs, ..case.arguments.clone() });
        let found = run(&spoiled, device.as_ref(), policy)?;
        same(&format!("{garbage} in the padding"), &found.bits(), &plain.bits())?;
    }
    trimmed(case, lengths, time, &plain, device.as_ref(), policy)
}

/// The longest clip cut to its length: the shorter graph gives the same rows.
fn trimmed(
    case: &OpCase,
    lengths: &[i32],
    time: usize,
    padded: &Values,
    device: &dyn Device,
    policy: &Policy,
) -> Result<(), Difference> {
    let longest = lengths.iter().max().map_or(0, |&l| l as usize);
    if longest == 0 || longest == time {
        return Ok(());
    }
    let mut inputs = Vec::new();
    for (&id, elements) in case.graph.inputs().iter().zip(&case.arguments.inputs) {
        let shape = case.graph.shape(id);
        match elements {
            Elements::F32(v) if !shared_by_rows(case, id) => {
                let mut dims = shape.dims().to_vec();
                dims[1] = longest;
                inputs
                    .push((Shape::new(&dims)?, Elements::F32(first_frames(v, lengths.len(), time, longest))));
            }
            other => inputs.push((shape, other.clone())),
        }
    }
    let short = run(&case.with_inputs(inputs)?, device, policy)?;
    for (long, short) in padded.outputs.iter().zip(&short.outputs) {
        let frames = first_frames(&long.bits(), lengths.len(), time, longest);
        same(&format!("{time} frames against {longest}"), &frames, &short.bits())?;
    }
    Ok(())
}

/// The first `kept` of `time` frames of each clip.
fn first_frames<T: Copy>(data: &[T], batch: usize, time: usize, kept: usize) -> Vec<T> {
    let clip = data.len() / batch.max(1);
    let row = clip / time.max(1);
    data.chunks(clip.max(1)).flat_map(|clip| &clip[..kept * row]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;

    #[test]
    fn frames_are_kept_clip_by_clip() {
        // Two clips of three frames of two.
        let data: Vec<i32> = (0..12).collect();
        assert_eq!(first_frames(&data, 2, 3, 1), [0, 1, 6, 7]);
        assert_eq!(first_frames(&data, 2, 3, 2), [0, 1, 2, 3, 6, 7, 8, 9]);
    }

    #[test]
    fn batches_and_padding_are_recognised() {
        let all = cases().unwrap();
        let of = |name: &str| all.iter().find(|c| c.name.starts_with(name)).unwrap();
        assert_eq!(batch_of(of("matmul/joint-batch/6x640")), Some(6));
        assert_eq!(batch_of(of("matmul/joint/1x640")), None);
        assert_eq!(batch_of(of("rel_pos_attention/110m-batch")), Some(3));
        assert_eq!(batch_of(of("composite")), None);
        assert!(has_padding(of("rel_pos_attention/110m-batch")) && has_padding(of("mask_rows/batch")));
        assert!(!has_padding(of("rel_pos_attention/0.6b")) && !has_padding(of("softmax")));
    }

    #[test]
    fn a_row_by_itself_is_the_same_case() {
        let all = cases().unwrap();
        let case = all.iter().find(|c| c.name.starts_with("rel_pos_attention/local-batch")).unwrap();
        let same_inputs: Vec<_> = case.graph.inputs().iter().zip(&case.arguments.inputs).collect();
        let same_inputs = same_inputs.into_iter().map(|(id, e)| (case.graph.shape(*id), e.clone())).collect();
        let rebuilt = case.with_inputs(same_inputs).unwrap();
        assert_eq!(rebuilt.graph.to_string(), case.graph.to_string());
        let (a, b) = (rebuilt.reference().unwrap(), case.reference().unwrap());
        assert!(a.parts().eq(b.parts()));
    }

    #[test]
    fn differing_bits_are_counted() {
        let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert!(same("x", &bits(&[f32::NAN]), &bits(&[f32::NAN])).is_ok());
        let Err(Difference::Bits(text)) = same("x", &bits(&[1.0, 2.0]), &bits(&[1.0, 3.0])) else { panic!() };
        assert_eq!(text, "x: 1 elements differ; the first, 1, is 2e0 and not 3e0");
        assert!(same("x", &bits(&[1.0]), &bits(&[1.0, 3.0])).is_err());
    }
}
