//! Devices by name: what is listed, what an unknown one is told, and that every adapter of this machine says what the CPU
//! says. Machines without an adapter pass too; on Linux all drivers can be hidden, so both are tested there.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

mod support;

use serde_json::Value;
#[cfg(target_os = "linux")]
use support::without_drivers;
use support::{adapters, clips, exact, model, run, stdout, whole};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn devices_are_listed_with_what_they_can_do() {
    let dir = clips();
    let value = json(&stdout(dir.path(), &["devices", "--json"]));
    assert_eq!(value["auto"], "cpu");
    let all = value["devices"].as_array().unwrap();
    assert_eq!((&all[0]["device"], &all[0]["kind"]), (&"cpu".into(), &"processor".into()));
    for adapter in &all[1..] {
        assert!(adapter["name"].as_str().is_some_and(|name| !name.is_empty()), "{adapter}");
        let limits = adapter["limits"]["buffer_bytes"].as_u64();
        assert!(adapter["error"].is_string() || limits.is_some_and(|bytes| bytes > 0), "{adapter}");
    }
    let table = stdout(dir.path(), &["devices"]);
    assert!(table.starts_with("device ") && table.contains("\ncpu "), "{table}");
    for adapter in &all[1..] {
        assert!(table.contains(&format!("\n{} ", adapter["device"].as_str().unwrap())), "{table}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn without_any_driver_the_way_to_one_is_told() {
    let ctc = model("ctc");
    let asked = without_drivers(&exact(&ctc, &["mod0.wav", "--device", "vulkan"]));
    let listed = without_drivers(&["devices", "--json"]);
    assert_eq!(json(&String::from_utf8(listed.stdout).unwrap())["devices"].as_array().unwrap().len(), 1);
    let unasked = without_drivers(&exact(&ctc, &["mod0.wav", "-q"]));
    assert_eq!(unasked.status.code(), Some(0), "nobody needs a GPU");
    insta::assert_snapshot!(whole(&asked));
}

#[test]
fn names_that_are_no_device() {
    let dir = clips();
    let ctc = model("ctc");
    let all: Vec<String> = ["cuda", "vulkan:x", "npu:1"]
        .iter()
        .map(|name| whole(&run(dir.path(), &exact(&ctc, &["mod0.wav", "--device", name]))))
        .collect();
    insta::assert_snapshot!(all.join("\n"));
    let far = run(dir.path(), &["ops", "--device", "vulkan:99", "--op", "relu"]);
    assert_eq!(far.status.code(), Some(1));
    let stderr = String::from_utf8(far.stderr).unwrap();
    assert!(
        stderr.starts_with("error: can't open device 'vulkan:99'\ncause: vulkan:99: there is no such"),
        "{stderr}"
    );
    assert!(stderr.contains("\nhint: "), "{stderr}");
}

#[test]
fn every_adapter_says_what_the_cpu_says() {
    let dir = clips();
    for kind in ["tdt", "ctc"] {
        let path = model(kind);
        let cpu = stdout(dir.path(), &exact(&path, &["mod0.wav", "mod7.wav", "-q"]));
        for name in adapters() {
            let gpu = stdout(dir.path(), &exact(&path, &["mod0.wav", "mod7.wav", "-q", "--device", &name]));
            assert_eq!(gpu, cpu, "{kind} on {name}");
        }
    }
}

#[test]
fn placement_is_told_and_strict_refuses_what_falls_back() {
    let dir = clips();
    let path = model("tdt");
    let dump = ["transcribe", "-m", path.as_str(), "--dump", "placement"];
    insta::assert_snapshot!(stdout(dir.path(), &dump));
    for name in adapters() {
        let on = [&dump[..], &["--device", &name]].concat();
        let text = stdout(dir.path(), &on);
        assert!(text.starts_with("placement: ") && text.contains(name.as_str()), "{text}");
        let whole = text.starts_with("placement: the whole model runs on ");
        let strict = run(dir.path(), &[&on[..], &["--strict"]].concat());
        assert_eq!(strict.status.success(), whole, "{text}");
        let told = run(dir.path(), &exact(&path, &["mod0.wav", "-v", "--device", &name]));
        let stderr = String::from_utf8(told.stderr).unwrap();
        assert!(stderr.contains("--dump placement says more"), "{stderr}");
    }
}

#[test]
fn ops_are_listed() {
    let dir = clips();
    let value = json(&stdout(dir.path(), &["ops", "list", "--json", "--generated", "50"]));
    let ops = value.as_array().unwrap();
    let matmul = ops.iter().find(|o| o["op"] == "matmul").unwrap();
    assert!(matmul["fixed"].as_u64().unwrap() > 100 && matmul["timed"].as_u64().unwrap() > 10, "{matmul}");
    let generated: u64 = ops.iter().map(|o| o["generated"].as_u64().unwrap()).sum();
    assert_eq!(generated, 50);
    let names = stdout(dir.path(), &["ops", "list", "--cases", "--generated", "0"]);
    assert!(names.lines().any(|l| l == "matmul/chatterbox-flow/2x87x256*1024/Q4_0+bias+gelu"), "{names}");
}

#[test]
fn support_is_a_table_of_ops_and_devices() {
    let dir = clips();
    let table = stdout(dir.path(), &["ops", "support", "--device", "cpu"]);
    assert!(table.starts_with("op ") && table.lines().skip(1).all(|l| l.ends_with("  yes")), "{table}");
    let value = json(&stdout(dir.path(), &["ops", "support", "--json"]));
    let names: Vec<&String> = value.as_object().unwrap().keys().collect();
    assert_eq!(names[0], "cpu");
    assert_eq!(names[1..], adapters().iter().collect::<Vec<_>>());
    for name in names {
        let relu = &value[name]["relu"];
        assert_eq!(relu["supported"], relu["nodes"], "{name}");
    }
}

#[test]
fn an_op_is_tested_on_every_device() {
    let dir = clips();
    for name in adapters().into_iter().chain(["cpu".to_owned()]) {
        let args = ["ops", "test", "--device", &name, "--op", "silu", "--generated", "20", "--json"];
        let value = json(&stdout(dir.path(), &args));
        for report in value.as_array().unwrap() {
            let cases = report["cases"].as_array().unwrap();
            assert!(!cases.is_empty() && cases.iter().all(|c| c["status"] == "passed"), "{name}: {report}");
        }
    }
}

#[test]
fn speed_is_set_against_a_peak() {
    let dir = clips();
    let timed = ["ops", "perf", "--op", "glu", "--budget", "0.01", "-t", "1"];
    let text = stdout(dir.path(), &timed);
    assert!(text.contains("\nat most  ") && text.contains("glu/0.6b/"), "{text}");
    let given = [&timed[..], &["--peak-bytes", "1000", "--peak-flops", "2000", "--json"]].concat();
    let value = json(&stdout(dir.path(), &given));
    let line = &value["results"][0];
    assert_eq!(value["peak"]["bytes"], 1e12);
    let rate = line["bytes_per_second"].as_f64().unwrap();
    assert!(rate > 0.0 && (line["of_peak"].as_f64().unwrap() - rate / 1e12).abs() < 1e-9, "{line}");
    let wrong = run(dir.path(), &["ops", "perf", "--op", "teleport"]);
    assert_eq!(wrong.status.code(), Some(2));
}
