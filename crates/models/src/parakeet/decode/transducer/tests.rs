//! Looking ahead gives the tokens of going frame by frame, for every head, number of rows and neighbourhood.

use super::{Frames, Transducer};
use crate::parakeet::{Decoded, Head, LoadOptions, Parakeet};
use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_gguf::GgufFile;
use std::path::PathBuf;
use std::sync::Arc;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parakeet")
}

fn model(case: &str) -> Parakeet {
    let file = GgufFile::open(fixtures().join(case).join("model.gguf")).unwrap();
    let device = CpuDevice::new(CpuOptions { threads: Some(1), simd: None }).unwrap();
    Parakeet::load(Arc::new(file), Arc::new(device), None, LoadOptions::default()).unwrap()
}

fn clip(name: &str) -> Vec<f32> {
    let path = fixtures().join("clips").join(format!("{name}.wav"));
    mynah_audio::AudioStream::open(path).unwrap().read_all().unwrap()
}

/// Tokens of clips decoded together with a number of rows.
fn decode(model: &mut Parakeet, clips: &[Frames<'_>], rows: usize) -> Vec<Vec<Decoded>> {
    let head = model.config().transducer.clone().unwrap();
    let (file, config) = (Arc::clone(&model.file), model.config.clone());
    let executor = &mut model.executor;
    Transducer { file: &file, config: &config, head: &head, executor, rows }.greedy(clips).unwrap()
}

#[test]
fn any_number_of_rows_gives_the_tokens_of_one() {
    for (case, head) in [("tdt", Head::Tdt), ("rnnt", Head::Rnnt), ("odd_shapes", Head::Tdt)] {
        let mut model = model(case);
        let Ok(head) = model.head(Some(head)).or_else(|_| model.head(Some(Head::Rnnt))) else { continue };
        let samples = [clip("long15"), clip("mod7")];
        let mut frames = Vec::new();
        for samples in &samples {
            let encoded = model.encode(&[samples], &[head], false).unwrap();
            let joint = model.config().transducer.as_ref().unwrap().joint;
            frames.push(encoded.projected.unwrap()[..encoded.lengths[0] * joint].to_vec());
        }
        let clips = [0, 1, 0, 1, 1].map(|i: usize| Frames { projected: &frames[i], first: 3 * i });
        let alone: Vec<_> = clips.iter().flat_map(|clip| decode(&mut model, &[*clip], 1)).collect();
        assert!(alone[0].len() > 20, "{case}: {} tokens prove little", alone[0].len());
        for rows in [1, 2, 3, 4, 7, 16, 1000] {
            let found: Vec<_> = clips.iter().flat_map(|clip| decode(&mut model, &[*clip], rows)).collect();
            assert_eq!(found, alone, "{case}: {rows} rows, one clip");
            assert_eq!(decode(&mut model, &clips, rows), alone, "{case}: {rows} rows, together");
        }
    }
}
