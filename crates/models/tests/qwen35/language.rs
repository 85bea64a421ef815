//! What the runtime asks of a model: room that grows, rows and pages that are copied, read and put back, and what tells models apart.

use crate::fixtures::{CASES, PAGE, file, model, reference};
use mynah_cpu::{CpuDevice, CpuOptions};
use mynah_device::Policy;
use mynah_gguf::{GgufFile, GgufWriter};
use mynah_models::ModelError;
use mynah_models::language::{LanguageModel, MAX_DRAFTS, Piece, Wanted, Workload, estimate, open};
use mynah_models::qwen35::{LoadOptions, Qwen35, StateLayout};
use mynah_plan::Options;
use std::sync::Arc;

/// A model without room for anything.
fn empty(file: GgufFile, page: usize) -> Qwen35 {
    let device = CpuDevice::new(CpuOptions { threads: Some(1), simd: None }).unwrap();
    let executor = Options { policy: Policy::exact(), ..Options::default() };
    let layout = StateLayout { page, snapshots: 1, ..StateLayout::default() };
    let options = LoadOptions { executor, layout, sequences: 0, pages: 0 };
    Qwen35::load(Arc::new(file), Arc::new(device), None, options).unwrap()
}

/// Runs tokens behind those that a row has; the last one's logits.
fn go_on(
    model: &mut dyn LanguageModel,
    row: usize,
    pages: &[u32],
    past: usize,
    tokens: &[u32],
) -> Result<Vec<f32>, ModelError> {
    let piece = Piece { row, pages, past, snapshot: 0, tokens, wanted: Wanted::Last };
    model.step(&[piece]).map(<[f32]>::to_vec)
}

#[test]
fn room_is_made_and_keeps_what_there_is() {
    for case in CASES {
        let (tokens, _) = reference(case);
        let mut model = empty(file(case), PAGE);
        assert!(model.reset(0).is_err(), "there is no row yet");
        model.reserve(1, 1).unwrap();
        let before = LanguageModel::memory(&model);
        model.reset(0).unwrap();
        assert!(go_on(&mut model, 0, &[0, 1], 0, &tokens[..PAGE + 1]).is_err(), "there is one page");
        model.reset(0).unwrap();
        go_on(&mut model, 0, &[0], 0, &tokens[..PAGE]).unwrap();
        model.reserve(2, 4).unwrap();
        assert!(LanguageModel::memory(&model) > before);
        // Pages in any order, and a row beside it.
        let found = go_on(&mut model, 0, &[0, 3, 2], PAGE, &tokens[PAGE..40]).unwrap();
        model.reset(1).unwrap();
        model.reserve(1, 1).unwrap();
        let mut whole = empty(file(case), PAGE);
        whole.reserve(1, 3).unwrap();
        whole.reset(0).unwrap();
        assert!(go_on(&mut whole, 0, &[0, 1, 2], 0, &tokens[..40]).unwrap() == found, "{case}");
    }
}

#[test]
fn rows_and_pages_are_copied_and_brought_to_another_model() {
    for case in CASES {
        let (tokens, _) = reference(case);
        let mut first = empty(file(case), PAGE);
        first.reserve(3, 6).unwrap();
        first.reset(2).unwrap();
        go_on(&mut first, 2, &[4, 1], 0, &tokens[..24]).unwrap();
        // A copy shares the full page and has the begun one for itself.
        first.copy_row(2, 0).unwrap();
        first.copy_page(1, 5).unwrap();
        let row = first.read_row(0, 0).unwrap();
        let pages = [4, 5].map(|page| first.read_page(page).unwrap());
        let bytes = first.state_bytes();
        assert_eq!((bytes.row, bytes.page), (4 * row.len(), 4 * pages[0].len()));
        let wanted = go_on(&mut first, 2, &[4, 1], 24, &tokens[24..30]).unwrap();
        assert!(go_on(&mut first, 0, &[4, 5], 24, &tokens[24..30]).unwrap() == wanted, "{case}");
        assert!(first.read_row(0, 0).unwrap() == first.read_row(2, 0).unwrap());

        let mut second = empty(file(case), PAGE);
        second.reserve(1, 2).unwrap();
        second.write_row(0, &row).unwrap();
        for (page, contents) in (0..).zip(&pages) {
            second.write_page(page, contents).unwrap();
        }
        assert!(go_on(&mut second, 0, &[0, 1], 24, &tokens[24..30]).unwrap() == wanted, "{case}");
        assert_eq!(second.identity(), first.identity());

        assert!(second.write_row(0, &row[1..]).is_err() && second.write_page(0, &row).is_err());
        assert!(second.write_row(1, &row).is_err() && second.write_page(2, &pages[0]).is_err());
        assert!(second.copy_row(0, 1).is_err() && second.copy_page(2, 0).is_err());
        assert!(second.read_row(1, 0).is_err() && second.read_page(u32::MAX).is_err());
    }
}

/// A copy of a model in which a byte of a tensor is another.
fn touched(name: &str) -> GgufFile {
    let file = file("dense");
    let mut data = file.data(file.tensor(name).unwrap()).unwrap().to_vec();
    data[5] ^= 1;
    let mut writer = GgufWriter::new();
    for (key, value) in file.metadata().iter() {
        writer.set(key, value.clone());
    }
    for t in file.tensors() {
        let bytes = if t.name == name { &data } else { file.data(t).unwrap() };
        writer.tensor_bytes(&t.name, t.dtype().unwrap(), t.shape.dims(), bytes).unwrap();
    }
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    GgufFile::from_bytes(bytes).unwrap()
}

#[test]
fn models_are_told_apart_by_their_weights_and_their_states_by_their_layout() {
    let of = |file: GgufFile, page: usize| empty(file, page).identity();
    let dense = of(file("dense"), PAGE);
    assert_eq!(dense, of(file("dense"), PAGE));
    let others = [
        of(file("dense"), 2 * PAGE),
        of(file("tied_odd"), PAGE),
        of(file("equal_heads"), PAGE),
        of(touched("blk.2.ssm_a"), PAGE),
        of(touched("token_embd.weight"), PAGE),
    ];
    assert!(others.iter().all(|&other| other != dense));
}

#[test]
fn what_a_model_needs_is_known_before() {
    let device = CpuDevice::new(CpuOptions { threads: Some(1), simd: None }).unwrap();
    for case in CASES {
        let (tokens, _) = reference(case);
        let file = Arc::new(file(case));
        let of = |chunk, context, sequences| {
            estimate(&file, &device, &Policy::exact(), &Workload { sequences, chunk, context, drafts: 0 })
                .unwrap()
        };
        let estimated = of(64, 128, 2);
        let options = Options { policy: Policy::exact(), ..Options::default() };
        let device = CpuDevice::new(CpuOptions { threads: Some(1), simd: None }).unwrap();
        let mut model = open(Arc::clone(&file), Arc::new(device), None, options, 0).unwrap();
        model.reserve(1, 2).unwrap();
        let states = LanguageModel::memory(model.as_ref());
        assert_eq!(estimated.sequence, model.state_bytes().row as u64);
        assert_eq!(
            (estimated.token * estimated.page as u64, estimated.page),
            (model.state_bytes().page as u64, model.page())
        );
        model.reset(0).unwrap();
        go_on(model.as_mut(), 0, &[0, 1], 0, &tokens[..64]).unwrap();
        // Weights in f32 are laid out in panels, rounded up; kernels have some scratch memory besides.
        let taken = (LanguageModel::memory(model.as_ref()) - states) as u64;
        let foreseen = estimated.weights + estimated.activations;
        assert!(taken > foreseen / 2 && taken < 2 * foreseen + 500_000, "{case}: {taken} for {foreseen}");
        let table = if case == "tied_odd" { file.tensor("token_embd.weight").unwrap().nbytes } else { 0 };
        let stored: usize = file.tensors().iter().map(|t| t.nbytes).sum();
        assert!(estimated.weights as usize >= stored + table, "{case}");
        assert!(of(128, 128, 2).activations > estimated.activations);
        assert!(of(1, 128, 64).activations > of(1, 128, 1).activations);
    }
}

#[test]
fn files_of_no_known_family_are_refused() {
    let root =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parakeet/tdt/model.gguf");
    let file = GgufFile::open(root).unwrap();
    let device = || CpuDevice::new(CpuOptions { threads: Some(1), simd: None }).unwrap();
    let workload = Workload { sequences: 1, chunk: 64, context: 128, drafts: 0 };
    assert!(matches!(
        estimate(&file, &device(), &Policy::exact(), &workload),
        Err(ModelError::Family { .. })
    ));
    let opened = open(Arc::new(file), Arc::new(device()), None, Options::default(), 0);
    assert!(matches!(opened.err(), Some(ModelError::Family { .. })));
    // A model that was opened with room of its own can be asked for less.
    assert!(model("dense").reserve(1, 1).is_ok());
}

#[test]
fn states_that_drafts_are_taken_back_from_are_read_as_any_others() {
    const DRAFTS: usize = 3;
    let (tokens, _) = reference("drafting");
    let layout = |snapshots| StateLayout { page: PAGE, snapshots, ..StateLayout::default() };
    let of = |snapshots| {
        let device = CpuDevice::new(CpuOptions { threads: Some(1), simd: None }).unwrap();
        let executor = Options { policy: Policy::exact(), ..Options::default() };
        let options = LoadOptions { executor, layout: layout(snapshots), sequences: 2, pages: 4 };
        Qwen35::load(Arc::new(file("drafting")), Arc::new(device), None, options).unwrap()
    };
    let (mut plain, mut model) = (of(1), of(1 + DRAFTS));
    // As long as the pages are the same, so are the saved states.
    assert_eq!(plain.identity(), model.identity());
    assert_eq!((plain.drafts(), model.drafts()), (0, DRAFTS));
    let sizes = [plain.state_bytes(), model.state_bytes()];
    assert_eq!([sizes[0].saved_row, sizes[0].page], [sizes[1].saved_row, sizes[1].page]);
    assert!(sizes[0].saved_row == sizes[0].row && sizes[1].row > sizes[1].saved_row);
    model.reset(0).unwrap();
    go_on(&mut model, 0, &[0, 1], 0, &tokens[..20]).unwrap();
    for snapshot in 0..=DRAFTS {
        plain.reset(0).unwrap();
        let wanted = go_on(&mut plain, 0, &[0, 1], 0, &tokens[..20 - snapshot]).unwrap();
        let row = model.read_row(0, snapshot).unwrap();
        assert!(row == plain.read_row(0, 0).unwrap(), "{snapshot} tokens before the last");
        // Put back, it is the state after the last token, to go on from and to read again.
        model.write_row(1, &row).unwrap();
        assert!(model.read_row(1, 0).unwrap() == row);
        for page in [0, 1] {
            let page_contents = plain.read_page(page).unwrap();
            model.write_page(page + 2, &page_contents).unwrap();
        }
        let on = go_on(&mut model, 1, &[2, 3], 20 - snapshot, &tokens[20 - snapshot..25]).unwrap();
        let whole = go_on(&mut plain, 0, &[0, 1], 20 - snapshot, &tokens[20 - snapshot..25]).unwrap();
        assert!(on == whole && on != wanted);
    }
    assert!(model.read_row(0, 1 + DRAFTS).is_err() && model.write_row(0, &[]).is_err());
}

#[test]
fn drafts_that_can_not_be_are_refused_before_anything_is_loaded() {
    let device = || CpuDevice::new(CpuOptions { threads: Some(1), simd: None }).unwrap();
    let workload = |drafts| Workload { sequences: 2, chunk: 64, context: 128, drafts };
    for (case, drafts, refused) in [
        ("dense", 1, "drafting with a file that has no layer for it"),
        ("drafting", MAX_DRAFTS + 1, "drafting 17 tokens at a time"),
        ("drafting", usize::MAX, "16 are the most"),
    ] {
        let file = Arc::new(file(case));
        let error = estimate(&file, &device(), &Policy::exact(), &workload(drafts)).unwrap_err();
        assert!(error.to_string().contains(refused), "{error}");
        let opened = open(file, Arc::new(device()), None, Options::default(), drafts);
        assert!(matches!(opened.err(), Some(ModelError::Unsupported { .. })));
    }
    let file = Arc::new(file("drafting"));
    let model = open(Arc::clone(&file), Arc::new(device()), None, Options::default(), MAX_DRAFTS).unwrap();
    assert_eq!(model.drafts(), MAX_DRAFTS);
    let [none, most] =
        [0, MAX_DRAFTS].map(|n| estimate(&file, &device(), &Policy::exact(), &workload(n)).unwrap());
    assert_eq!(most.sequence, model.state_bytes().row as u64);
    assert!(most.sequence > 10 * none.sequence && most.token == none.token);
}
