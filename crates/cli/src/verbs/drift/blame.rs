//! `--bisect`: which difference between the two settings does how much.

use super::listen::{Heard, Listener, Step};
use super::pair::{distance, figure};
use super::setting::Setting;
use crate::verbs::bench::columns;
use mynah::DeviceChoice;
use mynah_lab::{Bisection, Switch, bisect};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a switch changes.
enum Change {
    Device,
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
    fn new(listener: &mut Listener, a: &'a Setting, b: &'a Setting) -> anyhow::Result<Self> {
        let mut known = |setting: &Setting| -> anyhow::Result<BTreeSet<String>> {
            let choice: DeviceChoice = setting.device.parse().map_err(crate::exit::Usage::plain)?;
            let devices = listener.devices(choice)?;
            Ok(devices.device.routes().iter().map(|r| r.name.to_owned()).collect())
        };
        let routes = [known(a)?, known(b)?];
        let mut changes = Vec::new();
        if a.device != b.device {
            changes.push(Change::Device);
        }
        if a.dtype != b.dtype {
            changes.push(Change::Type);
        }
        // A route that was on and that the other device doesn't have goes with the device.
        let apart = a.routes.symmetric_difference(&b.routes);
        let lasting = apart.filter(|r| b.routes.contains(*r) || routes[1].contains(*r));
        changes.extend(lasting.cloned().map(Change::Route));
        Ok(Self { a, b, routes, changes })
    }

    fn switches(&self) -> Vec<Switch> {
        let device = self.changes.iter().position(|c| matches!(c, Change::Device));
        let switch = |change: &Change| match change {
            Change::Device => Switch { name: format!("device={}", self.b.device), needs: vec![] },
            Change::Type => {
                Switch { name: format!("type={}", self.b.dtype.unwrap_or("the file's")), needs: vec![] }
            }
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

/// Throws every difference between `a` and `b` by itself. Logits are taken along `path`.
///
/// # Errors
/// As [`Listener::hear`].
pub(super) fn blame(
    listener: &mut Listener,
    a: &Setting,
    b: &Setting,
    path: &[Step],
) -> anyhow::Result<Bisection> {
    let between = Between::new(listener, a, b)?;
    let mut heard: BTreeMap<Setting, Heard> = BTreeMap::new();
    bisect(&between.switches(), |from, to| {
        let (from, to) = (between.setting(from), between.setting(to));
        for setting in [&from, &to] {
            if !heard.contains_key(setting) {
                heard.insert(setting.clone(), listener.hear(setting, Some(path))?);
            }
        }
        Ok(match (heard.get(&from), heard.get(&to)) {
            (Some(from), Some(to)) => distance(from, to),
            _ => f64::INFINITY,
        })
    })
}

/// A table of the switches, and who is responsible.
pub(super) fn text(found: &Bisection) -> String {
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
        [] => "nothing: the logits don't differ".to_owned(),
        names => names.join(", "),
    };
    format!(
        "\nNMSE of the logits: {} with every switch\n{}responsible: {verdict}\n",
        figure(found.total),
        columns(&rows, 1)
    )
}

/// The same for programs.
pub(super) fn json(found: &Bisection) -> Value {
    let switches = found
        .switches
        .iter()
        .map(|s| json!({ "name": s.name, "alone": s.alone, "without": s.without, "share": s.share }));
    json!({
        "total": found.total,
        "switches": switches.collect::<Vec<_>>(),
        "responsible": found.responsible().map(|s| s.name.clone()).collect::<Vec<_>>(),
    })
}

#[cfg(all(test, feature = "builtin-model"))]
#[allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]
mod tests {
    use super::super::setting::Spec;
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
        let mut listener = Listener::new(None, samples, &Options::default(), None);
        listener.install(DeviceChoice::Cpu, Devices { device, fallback: None });
        listener
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

    #[test]
    fn a_route_that_was_made_worse_is_named() {
        for route in cpu().routes() {
            let device: Arc<dyn Device> =
                Arc::new(FaultyDevice::new(cpu(), Fault::Route { name: route.name, factor: 1.05 }));
            let [a, b] = sides(device.as_ref());
            let mut listener = listener(device);
            let path = listener.hear(&a, None).unwrap().tokens;
            assert!(!path.is_empty(), "the sample has words");
            let found = blame(&mut listener, &a, &b, &path).unwrap();
            assert_eq!(found.switches.len(), cpu().routes().len());
            assert_eq!(found.switches[0].name, format!("{}=on", route.name), "{}", text(&found));
            assert!(found.switches[0].share > 0.9, "{}", text(&found));
            assert!(found.switches[0].without < found.total / 10.0, "{}", text(&found));
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
            for route in mynah_gpu::ROUTES {
                let fault = Fault::Route { name: route.name, factor: 1.05 };
                let worse: Arc<dyn Device> = Arc::new(FaultyDevice::new(Arc::clone(&gpu), fault));
                let a = side(DeviceChoice::Cpu, Precision::Exact, cpu().as_ref());
                let b = side(choice, Precision::Fast, worse.as_ref());
                let mut listener = listener(cpu());
                listener.install(choice, Devices { device: worse, fallback: None });
                let path = listener.hear(&a, None).unwrap().tokens;
                let found = blame(&mut listener, &a, &b, &path).unwrap();
                let names: Vec<&str> = found.switches.iter().map(|s| s.name.as_str()).collect();
                let wanted = [format!("{}=on", route.name), format!("device={choice}")];
                assert_eq!(names, wanted, "{}", text(&found));
                assert!(found.switches[0].share > 0.9, "{}", text(&found));
                assert_eq!(found.responsible().count(), 1, "{}", text(&found));
            }
        }
    }

    #[test]
    fn a_setting_and_itself_have_no_switches() {
        let device = cpu();
        let [a, _] = sides(device.as_ref());
        let mut listener = listener(device);
        let found = blame(&mut listener, &a, &a, &[]).unwrap();
        assert_eq!((found.total, found.switches.len()), (0.0, 0));
        assert!(text(&found).ends_with("responsible: nothing: the logits don't differ\n"));
    }
}
