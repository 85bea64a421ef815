//! The run itself: recordings into the library, transcripts out as soon as each is ready.

use super::Transcribe;
use super::inputs::Input;
use super::outputs::Work;
use crate::debug::Debug;
use crate::exit::Exit;
use crate::graphs::{self, Task, USUAL_SECONDS};
use crate::notes::{self, Volume};
use crate::placement::Placed;
use crate::progress::Meter;
use crate::{ears, failure, units};
use anyhow::Context as _;
use mynah::{AudioError, AudioStream, Batch, DeviceChoice, Finished, ParakeetConfig, Progress};
use mynah_audio::SAMPLE_RATE;
use mynah_graph::Graph;
use mynah_models::GgufWeights;
use serde_json::json;
use std::cell::Cell;
use std::sync::Arc;

/// What happened before the first recording was opened.
pub(super) struct Before {
    /// Arguments that gave no recording.
    pub(super) failed: usize,
    /// Recordings that an earlier run finished.
    pub(super) skipped: Vec<Input>,
}

/// Transcribes everything.
///
/// # Errors
/// A model that can't be loaded or fails. What fails for one recording alone is printed and counted.
pub(super) fn run(args: &Transcribe, work: &[Work], before: &Before, debug: Debug) -> anyhow::Result<Exit> {
    let volume = args.talk.volume();
    let total = before.failed + before.skipped.len() + work.len();
    if work.is_empty() {
        told_skipped(&Meter::new(args.talk.progress(), None), &before.skipped, volume);
        return Ok(Exit::of(before.failed, total));
    }
    let mut ears = ears::open(&args.model, &args.hearing, volume)?;
    if volume == Volume::Verbose {
        tell_placement(args, volume)?;
    }
    debug.begin(ears.model().executor());
    // Looking at every header beforehand is worth it only where somebody sees the total.
    let kind = args.talk.progress();
    let meter = Meter::new(kind, if Meter::shows(kind) { seconds_of(work) } else { None });
    told_skipped(&meter, &before.skipped, volume);

    let failed = Cell::new(before.failed);
    let mut inputs = work.iter().map(|w| (w, opened(w, volume, &meter)));
    let options = args.hearing.options();
    let render = args.render.options();
    let mut batch = Batch { transcriber: &mut ears, options: &options };
    // What the library knows of the length is that of the recordings it has opened.
    let known = |p: Progress| if work.len() == 1 { p } else { Progress { total: None, ..p } };
    let outcome = batch.run(&mut inputs, &mut |p| meter.heard(known(p)), &mut |finished: Finished<&Work>| {
        let name = finished.key.input.name.as_str();
        let delivered = finished
            .result
            .map_err(anyhow::Error::from)
            .and_then(|transcript| meter.aside(|| finished.key.target.deliver(name, &transcript, &render)));
        if let Some(complaint) = finished.audio.as_ref().and_then(complaint) {
            meter.aside(|| notes::warn(&format!("{name}: {complaint}")));
        }
        match delivered {
            Ok(()) => {
                let files = finished.key.target.files();
                meter.file(name, "done", &json!({ "outputs": files }));
                for file in files {
                    meter.aside(|| volume.detail(&format!("wrote {file}")));
                }
            }
            Err(error) if failure::is_broken_pipe(&error) => {
                // Nobody reads the rest, so there is no point in hearing it.
                meter.clear();
                std::process::exit(Exit::Success as i32);
            }
            Err(error) => {
                failed.set(failed.get() + 1);
                meter.file(name, "failed", &json!({ "error": format!("{error:#}") }));
                meter.aside(|| failure::print(&error.context(format!("can't transcribe {name}"))));
            }
        }
    });
    meter.clear();
    outcome.context("can't transcribe with this model")?;
    let counts = json!({ "files": total, "failed": failed.get(), "skipped": before.skipped.len() });
    meter.finish(&counts, counted(total, failed.get(), before.skipped.len()).as_deref());
    debug.end(ears.model().executor());
    Ok(Exit::of(failed.get(), total))
}

/// Says how much of the model runs on the GPU that was asked for, at the usual length of a piece.
fn tell_placement(args: &Transcribe, volume: Volume) -> anyhow::Result<()> {
    if !matches!(args.model.device.resolve(), DeviceChoice::Gpu(_)) {
        return Ok(());
    }
    let file = Arc::new(ears::file(args.model.model.as_deref())?);
    let config = ParakeetConfig::read(&file)?;
    let weights = GgufWeights::new(Arc::clone(&file));
    let samples = USUAL_SECONDS * SAMPLE_RATE as usize;
    let task = Task { head: args.hearing.decoder, batch: usize::from(args.hearing.batch), samples };
    let graphs = graphs::of(&file, &config, &task)?.into_iter().map(|g| graphs::rewritten(g, &weights));
    let graphs: Vec<Graph> = graphs.collect::<Result<_, _>>()?;
    let devices = mynah::open_devices(args.model.device, args.model.threads.map(usize::from))?;
    let placed = Placed::of(&graphs, &devices, args.model.strict)?;
    volume.detail(&format!("{}; --dump placement says more", placed.summary()));
    Ok(())
}

/// Opens a recording and says what it is to those who asked.
fn opened(work: &Work, volume: Volume, meter: &Meter) -> Result<AudioStream, AudioError> {
    let stream = match &work.input.path {
        None => AudioStream::from_reader(Box::new(std::io::stdin()), None),
        Some(path) => AudioStream::open(path),
    }?;
    if volume == Volume::Verbose {
        let info = stream.source_info();
        let length = stream.duration_hint().map(|s| format!(", {}", units::seconds(s))).unwrap_or_default();
        let (name, container, codec, rate) = (&work.input.name, &info.container, &info.codec, info.rate);
        meter.aside(|| volume.detail(&format!("{name}: {container}, {codec}, {rate} Hz{length}")));
    }
    Ok(stream)
}

/// Seconds of all recordings, if every header tells. Only plain files are looked at: a pipe can be opened but once.
fn seconds_of(work: &[Work]) -> Option<f64> {
    let of = |w: &Work| {
        let path = w.input.path.as_ref().filter(|p| p.is_file())?;
        // A file that can't be opened takes no time either.
        AudioStream::open(path).map_or(Some(0.0), |stream| stream.duration_hint())
    };
    work.iter().map(of).sum()
}

fn told_skipped(meter: &Meter, skipped: &[Input], volume: Volume) {
    for input in skipped {
        meter.file(&input.name, "skipped", &json!({}));
        meter.aside(|| volume.detail(&format!("{} is done already", input.name)));
    }
    if !skipped.is_empty() {
        let what = units::count(skipped.len(), "recording is", "recordings are");
        meter.aside(|| volume.note(&format!("{what} done already; --overwrite does them again")));
    }
}

/// What a stream's statistics say about a transcript's worth.
fn complaint(audio: &mynah::StreamStats) -> Option<String> {
    let mut parts = Vec::new();
    if audio.truncated {
        parts.push("the recording ends earlier than it says".to_owned());
    }
    if audio.bad_packets > 0 {
        let packets = usize::try_from(audio.bad_packets).unwrap_or(usize::MAX);
        parts.push(format!(
            "{} could not be decoded and became silence",
            units::count(packets, "packet", "packets")
        ));
    }
    if audio.non_finite > 0 {
        let samples = usize::try_from(audio.non_finite).unwrap_or(usize::MAX);
        parts.push(format!(
            "{} no number and became silence",
            units::count(samples, "sample is", "samples are")
        ));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The counts of a run of several recordings.
fn counted(total: usize, failed: usize, skipped: usize) -> Option<String> {
    if total < 2 {
        return None;
    }
    let mut text = units::count(total - failed - skipped, "recording", "recordings");
    for (number, what) in [(failed, "failed"), (skipped, "done before")] {
        if number > 0 {
            text.push_str(&format!(", {number} {what}"));
        }
    }
    Some(text)
}
