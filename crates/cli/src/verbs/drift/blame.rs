//! `--bisect`: which difference between the two settings does how much.

use super::pair::figure;
use super::setting::Setting;
use super::subject::{Run, Subject};
use crate::verbs::bench::columns;
use mynah::DeviceChoice;
use mynah_lab::{Bisection, Switch, bisect};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What a switch changes.
enum Change {
    Device,
    Model,
    S3gen,
    Type,
    Route(String),
}

/// The differences between two settings, and what lies between them.
struct Between<'a> {
    a: &'a Setting,
    b: &'a Setting,
    /// Routes of the first and the second device.
    routes: [BTreeSet<String>; 2],
    changes: Vec<Change>,
}

impl<'a> Between<'a> {
    fn new(subject: &mut dyn Subject, a: &'a Setting, b: &'a Setting) -> anyhow::Result<Self> {
        let mut known = |setting: &Setting| -> anyhow::Result<BTreeSet<String>> {
            let choice: DeviceChoice = setting.device.parse().map_err(crate::exit::Usage::plain)?;
            let devices = subject.bench().devices(choice)?;
            Ok(devices.device.routes().iter().map(|r| r.name.to_owned()).collect())
        };
        let routes = [known(a)?, known(b)?];
        let mut changes = Vec::new();
        if a.device != b.device {
            changes.push(Change::Device);
        }
        let kinds = [
            (a.model != b.model, Change::Model),
            (a.s3gen != b.s3gen, Change::S3gen),
            (a.dtype != b.dtype, Change::Type),
        ];
        changes.extend(kinds.into_iter().filter(|(differs, _)| *differs).map(|(_, change)| change));
        // A route that was on and that the other device doesn't have goes with the device.
        let apart = a.routes.symmetric_difference(&b.routes);
        let lasting = apart.filter(|r| b.routes.contains(*r) || routes[1].contains(*r));
        changes.extend(lasting.cloned().map(Change::Route));
        Ok(Self { a, b, routes, changes })
    }

    fn switches(&self) -> Vec<Switch> {
        let device = self.changes.iter().position(|c| matches!(c, Change::Device));
        let plain = |name: String| Switch { name, needs: vec![] };
        let path =
            |path: &Option<PathBuf>| path.as_ref().map_or("the flags'".into(), |p| p.display().to_string());
        let switch = |change: &Change| match change {
            Change::Device => plain(format!("device={}", self.b.device)),
            Change::Model => plain(format!("model={}", path(&self.b.model))),
            Change::S3gen => plain(format!("s3gen={}", path(&self.b.s3gen))),
            Change::Type => plain(format!("type={}", self.b.dtype.unwrap_or("the file's"))),
            Change::Route(route) => {
                let on = if self.b.routes.contains(route) { "on" } else { "off" };
                let needs = device.filter(|_| !self.routes[0].contains(route)).into_iter().collect();
                Switch { name: format!("{route}={on}"), needs }
            }
        };
        self.changes.iter().map(switch).collect()
    }

    /// The setting with these switches thrown.
    fn setting(&self, thrown: &[bool]) -> Setting {
        let mut setting = self.a.clone();
        let mut known = &self.routes[0];
        for (change, _) in self.changes.iter().zip(thrown).filter(|(_, on)| **on) {
            match change {
                Change::Device => {
                    setting.device.clone_from(&self.b.device);
                    known = &self.routes[1];
                }
                Change::Model => setting.model.clone_from(&self.b.model),
                Change::S3gen => setting.s3gen.clone_from(&self.b.s3gen),
                Change::Type => setting.dtype = self.b.dtype,
                Change::Route(route) if self.b.routes.contains(route) => {
                    setting.routes.insert(route.clone());
                }
                Change::Route(route) => {
                    setting.routes.remove(route);
                }
            }
        }
        setting.routes.retain(|r| known.contains(r));
        setting
    }
}

/// Throws every difference between `a` and `b` by itself, for each of the stages that are blamed for; everything runs beside `reference`.
///
/// # Errors
/// As [`Subject::run`].
pub(super) fn blame(
    subject: &mut dyn Subject,
    a: &Setting,
    b: &Setting,
    reference: &Run,
) -> anyhow::Result<Vec<(&'static str, Bisection)>> {
    let between = Between::new(subject, a, b)?;
    let mut runs: BTreeMap<Setting, Run> = BTreeMap::new();
    let mut found = Vec::new();
    for &stage in subject.blamed() {
        let bisection = bisect(&between.switches(), |from, to| {
            let (from, to) = (between.setting(from), between.setting(to));
            for setting in [&from, &to] {
                if !runs.contains_key(setting) {
                    runs.insert(setting.clone(), subject.run(setting, Some(reference))?);
                }
            }
            Ok::<_, anyhow::Error>(match (runs.get(&from), runs.get(&to)) {
                (Some(from), Some(to)) => to.distance(from, stage),
                _ => f64::INFINITY,
            })
        });
        found.push((stage, bisection?));
    }
    Ok(found)
}

/// For each stage a table of the switches, and who is responsible.
pub(super) fn text(found: &[(&str, Bisection)]) -> String {
    found.iter().map(|(stage, bisection)| table(stage, bisection)).collect()
}

fn table(stage: &str, found: &Bisection) -> String {
    let head = ["switch", "alone", "without it", "share"];
    let mut rows: Vec<Vec<String>> = vec![head.iter().map(|&h| h.to_owned()).collect()];
    for s in &found.switches {
        rows.push(vec![
            s.name.clone(),
            figure(s.alone),
            figure(s.without),
            format!("{:.1}%", 100.0 * s.share),
        ]);
    }
    let responsible: Vec<String> =
        found.responsible().map(|s| format!("{} ({:.0}%)", s.name, 100.0 * s.share)).collect();
    let verdict = match responsible.as_slice() {
        [] => format!("nothing: the {stage} don't differ"),
        names => names.join(", "),
    };
    format!(
        "\nNMSE of the {stage}: {} with every switch\n{}responsible: {verdict}\n",
        figure(found.total),
        columns(&rows, 1)
    )
}

/// The same for programs, by stage.
pub(super) fn json(found: &[(&str, Bisection)]) -> Value {
    let stage = |(stage, found): &(&str, Bisection)| {
        let switches = found
            .switches
            .iter()
            .map(|s| json!({ "name": s.name, "alone": s.alone, "without": s.without, "share": s.share }));
        let value = json!({
            "total": found.total,
            "switches": switches.collect::<Vec<_>>(),
            "responsible": found.responsible().map(|s| s.name.clone()).collect::<Vec<_>>(),
        });
        ((*stage).to_owned(), value)
    };
    Value::Object(found.iter().map(stage).collect())
}

#[cfg(all(test, feature = "builtin-model"))]
#[allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]
mod tests {
    use super::super::listen::Listener;
    use super::super::setting::Spec;
    use super::super::workbench::Workbench;
    use super::*;
    use mynah::{Device, Devices, Options, Precision};
    use mynah_cpu::{CpuDevice, CpuOptions};
    use mynah_lab::{Fault, FaultyDevice};
    use std::sync::Arc;

    /// Three seconds of the shipped model's own sample.
    fn listener(device: Arc<dyn Device>) -> Listener {
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/samples/price.wav");
        let audio = mynah::AudioStream::open(sample).unwrap();
        let piece = mynah_audio::PieceReader::new(audio, mynah::PieceConfig::default()).next_piece().unwrap();
        let mut samples = piece.unwrap().samples;
        samples.truncate(48_000);
        let mut bench = Workbench::new(None, &Options::default());
        bench.install(DeviceChoice::Cpu, Devices { device, fallback: None });
        Listener::new(bench, samples, None)
    }

    fn cpu() -> Arc<dyn Device> {
        Arc::new(CpuDevice::new(CpuOptions { threads: Some(2), simd: None }).unwrap())
    }

    fn side(choice: DeviceChoice, precision: Precision, device: &dyn Device) -> Setting {
        let spec = Spec { precision: Some(precision), ..Spec::default() };
        Setting::of(&spec, choice, precision, device).unwrap()
    }

    fn sides(device: &dyn Device) -> [Setting; 2] {
        [Precision::Exact, Precision::Fast].map(|precision| side(DeviceChoice::Cpu, precision, device))
    }

    fn logits(listener: &mut Listener, a: &Setting, b: &Setting, beside: &Run) -> Bisection {
        let mut found = blame(listener, a, b, beside).unwrap();
        assert_eq!(found.len(), 1);
        found.remove(0).1
    }

    #[test]
    fn a_route_that_was_made_worse_is_named() {
        for route in cpu().routes() {
            let device: Arc<dyn Device> =
                Arc::new(FaultyDevice::new(cpu(), Fault::Route { name: route.name, factor: 1.05 }));
            let [a, b] = sides(device.as_ref());
            let mut listener = listener(device);
            let exact = listener.run(&a, None).unwrap();
            assert!(!exact.tokens.is_empty(), "the sample has words");
            let found = logits(&mut listener, &a, &b, &exact);
            assert_eq!(found.switches.len(), cpu().routes().len());
            assert_eq!(found.switches[0].name, format!("{}=on", route.name), "{}", table("logits", &found));
            assert!(found.switches[0].share > 0.9, "{}", table("logits", &found));
            assert!(found.switches[0].without < found.total / 10.0, "{}", table("logits", &found));
            assert_eq!(found.responsible().count(), 1);
        }
    }

    /// The device is another as well, yet it is its route that is to blame.
    #[test]
    fn a_route_of_a_gpu_that_was_made_worse_is_named_and_not_the_gpu() {
        let adapters = mynah::list_gpus();
        let required = std::env::var_os("MYNAH_REQUIRE_GPU").is_some_and(|v| v == "1");
        assert!(!(required && adapters.is_empty()), "no GPU adapter was found");
        for info in adapters {
            let choice = DeviceChoice::Gpu(info.choice);
            let gpu: Arc<dyn Device> = Arc::new(mynah_gpu::open(info.choice).unwrap());
            // A route that the CPU has as well is left with the GPU, too: either switch mends it.
            let shared = cpu();
            let own =
                |route: &&mynah_device::Route| shared.routes().iter().all(|other| other.name != route.name);
            for route in mynah_gpu::ROUTES.iter().filter(own) {
                let fault = Fault::Route { name: route.name, factor: 1.05 };
                let worse: Arc<dyn Device> = Arc::new(FaultyDevice::new(Arc::clone(&gpu), fault));
                let a = side(DeviceChoice::Cpu, Precision::Exact, cpu().as_ref());
                let b = side(choice, Precision::Fast, worse.as_ref());
                let mut listener = listener(cpu());
                listener.bench().install(choice, Devices { device: worse, fallback: None });
                let exact = listener.run(&a, None).unwrap();
                let found = logits(&mut listener, &a, &b, &exact);
                let (worst, others) = found.switches.split_first().unwrap();
                assert_eq!(worst.name, format!("{}=on", route.name), "{}", table("logits", &found));
                let device = format!("device={choice}");
                assert!(others.iter().any(|s| s.name == device), "{}", table("logits", &found));
                assert!(found.switches[0].share > 0.9, "{}", table("logits", &found));
                assert_eq!(found.responsible().count(), 1, "{}", table("logits", &found));
            }
        }
    }

    #[test]
    fn a_setting_and_itself_have_no_switches() {
        let device = cpu();
        let [a, _] = sides(device.as_ref());
        let mut listener = listener(device);
        let found = logits(&mut listener, &a, &a, &Run::default());
        assert_eq!((found.total, found.switches.len()), (0.0, 0));
        assert!(table("logits", &found).ends_with("responsible: nothing: the logits don't differ\n"));
    }
}
