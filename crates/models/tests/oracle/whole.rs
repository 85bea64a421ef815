//! Clips taken whole, as a device does that has no use for tiles, here the CPU with its word for it: subsampling and encoder are one
//! run, and so many clips go through the convolutions at a time as the device's largest tensor allows.

use crate::fixtures::{clip, model, root};
use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_device::{Device, DeviceError, DeviceReport, Policy, Route, Session, Unsupported};
use mynah_gguf::GgufFile;
use mynah_graph::{Graph, Node};
use mynah_models::parakeet::{Encoded, Head, Keep, LoadOptions, Parakeet};
use mynah_plan::Options;
use std::sync::Arc;

/// The CPU, with tensors of so many bytes.
struct Whole {
    cpu: CpuDevice,
    bytes: usize,
}

impl Device for Whole {
    fn name(&self) -> &str {
        self.cpu.name()
    }

    fn report(&self) -> DeviceReport {
        self.cpu.report()
    }

    fn routes(&self) -> &[Route] {
        self.cpu.routes()
    }

    fn whole_tensors(&self) -> Option<usize> {
        Some(self.bytes)
    }

    fn supports(&self, graph: &Graph, node: &Node) -> Result<(), Unsupported> {
        self.cpu.supports(graph, node)
    }

    fn in_place(&self, graph: &Graph, node: &Node) -> Option<usize> {
        self.cpu.in_place(graph, node)
    }

    fn open(&self, policy: &Policy) -> Result<Box<dyn Session>, DeviceError> {
        self.cpu.open(policy)
    }
}

fn whole(case: &str, bytes: usize) -> Parakeet {
    let file = GgufFile::open(root().join(case).join("model.gguf")).unwrap();
    let cpu = CpuDevice::new(CpuOptions { threads: Some(1), simd: None }).unwrap();
    let executor = Options { policy: Policy::exact(), ..Options::default() };
    let options = LoadOptions { executor, attention: None };
    Parakeet::load(Arc::new(file), Arc::new(Whole { cpu, bytes }), None, options).unwrap()
}

fn valid(encoded: &Encoded) -> Vec<f32> {
    let all = encoded.projected.as_ref().unwrap();
    let row = all.len() / encoded.lengths.len() / encoded.frames;
    let clips = all.chunks_exact(encoded.frames * row).zip(&encoded.lengths);
    clips.flat_map(|(clip, &length)| clip[..length * row].to_vec()).collect()
}

#[test]
fn parts_of_any_size_give_what_tiles_give() {
    let clips = ["mod7", "hop", "mod1", "tenth", "mod0"].map(clip);
    let clips: Vec<&[f32]> = clips.iter().map(Vec::as_slice).collect();
    let by_tiles = model("tdt").encode(&clips, &[Head::Tdt], Keep::Heads).unwrap();
    let mut model = whole("tdt", 1 << 30);
    let at_once = model.encode(&clips, &[Head::Tdt], Keep::Heads).unwrap();
    assert_eq!(at_once.lengths, by_tiles.lengths);
    for (a, b) in valid(&at_once).iter().zip(valid(&by_tiles)) {
        assert!((a - b).abs() <= 1e-5, "{a} is not {b}");
    }
    // What one clip's largest tensor takes, and so two clips at a time, and one.
    let config = model.config();
    let longest = at_once.lengths.iter().max().unwrap().next_multiple_of(16);
    let bytes = 4 * 4 * longest * config.mel.n_mels.div_ceil(2) * config.subsampling_channels;
    for together in [1, 2] {
        let parts = whole("tdt", together * bytes).encode(&clips, &[Head::Tdt], Keep::Heads).unwrap();
        assert_eq!(parts.projected, at_once.projected, "{together} at a time");
    }
}
