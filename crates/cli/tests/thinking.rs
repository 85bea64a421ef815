//! `mynah generate`, `chat`, `bench llm` and `bench ppl` with a tiny random language model.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

mod support;
#[path = "support/thinker.rs"]
mod thinker;

use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};
use support::{fixture, mynah, run, stdout, whole};

const GENERATE: [&str; 6] = ["generate", "-m", "tiny.gguf", "--precision", "exact", "-q"];

fn generate(dir: &Path, args: &[&str]) -> String {
    stdout(dir, &[&GENERATE, args].concat())
}

/// The object that `-f json` gives, without times.
fn object(dir: &Path, args: &[&str]) -> Value {
    let mut value: Value = serde_json::from_str(&generate(dir, &[args, &["-f", "json"]].concat())).unwrap();
    assert!(value["seconds"]["prompt"].as_f64().unwrap() > 0.0);
    let fields = value.as_object_mut().unwrap();
    fields.remove("seconds");
    fields.remove("tokens_per_second");
    value
}

/// `mynah chat` with these lines as standard input.
fn chat(dir: &Path, args: &[&str], lines: &str) -> Output {
    let mut command = mynah(dir);
    command.args(["chat", "-m", "tiny.gguf", "--precision", "exact", "-n", "8"]).args(args);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn the_same_seed_says_the_same() {
    let dir = thinker::folder();
    let say = |args: &[&str]| generate(dir.path(), &[&["-p", "Once upon", "-n", "12"], args].concat());
    let first = say(&["--seed", "5"]);
    assert!(first.len() > 12);
    for same in
        [&["--seed", "5", "-t", "1"][..], &["--seed", "5", "-t", "3"], &["--seed", "5", "--no-stream"]]
    {
        assert_eq!(say(same), first, "{same:?}");
    }
    assert_ne!(say(&["--seed", "6"]), first);
    assert_eq!(say(&["--temp", "0", "--seed", "5"]), say(&["--temp", "0", "--seed", "6"]));
    assert_eq!(say(&["--top-k", "1"]), say(&["--temp", "0"]));
}

#[test]
fn prompts_come_from_a_flag_a_file_or_a_pipe() {
    let dir = thinker::folder();
    fs::write(dir.path().join("prompt.txt"), "The cat").unwrap();
    let flag = generate(dir.path(), &["-p", "The cat", "-n", "6"]);
    assert_eq!(generate(dir.path(), &["--file", "prompt.txt", "-n", "6"]), flag);
    for dash in [&["--file", "-"][..], &[]] {
        let mut command = mynah(dir.path());
        command.stdin(fs::File::open(dir.path().join("prompt.txt")).unwrap());
        let output = command.args(GENERATE).args(["-n", "6"]).args(dash).output().unwrap();
        assert_eq!(said(&output), flag);
    }
}

#[test]
fn json_tells_why_it_ended_and_how_likely_each_token_was() {
    let dir = thinker::folder();
    let value = object(dir.path(), &["-p", "Hello", "-n", "3", "--logprobs", "2", "--seed", "9"]);
    assert_eq!(
        (&value["finish"], &value["tokens"], &value["seed"]),
        (&json!("length"), &json!(3), &json!(9))
    );
    let tokens = value["logprobs"].as_array().unwrap();
    assert_eq!(tokens.len(), 3);
    let mut text = Vec::new();
    for token in tokens {
        text.extend(token["bytes"].as_array().unwrap().iter().map(|b| b.as_u64().unwrap() as u8));
        let top = token["top_logprobs"].as_array().unwrap();
        let of = |token: &Value| token["logprob"].as_f64().unwrap();
        assert_eq!(top.len(), 2);
        assert!(of(&top[0]) >= of(&top[1]) && of(&top[0]) >= of(token) && of(token) < 0.0, "{token}");
    }
    assert_eq!(String::from_utf8_lossy(&text), value["text"].as_str().unwrap());

    // As lines: pieces of the text, then the rest.
    let args = ["-p", "Hello", "-n", "3", "--seed", "9", "-f", "json", "--stream"];
    let lines: Vec<Value> =
        generate(dir.path(), &args).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (end, pieces) = lines.split_last().unwrap();
    let joined: String = pieces.iter().map(|piece| piece["text"].as_str().unwrap()).collect();
    assert_eq!((joined.as_str(), &end["finish"]), (value["text"].as_str().unwrap(), &value["finish"]));
    assert!(end.get("text").is_none());
}

#[test]
fn a_stop_string_ends_it() {
    let dir = thinker::folder();
    let args = ["-p", "Hello", "-n", "40", "--temp", "1.5"];
    let free = object(dir.path(), &args);
    let text = free["text"].as_str().unwrap();
    let stop: String = text.chars().skip(20).take(3).collect();
    let before = text.split(&stop).next().unwrap();
    let cut = object(dir.path(), &[&args[..], &["--stop", &stop, "--stop", "never said"]].concat());
    assert_eq!((cut["text"].as_str().unwrap(), cut["finish"].as_str().unwrap()), (before, "stop"));
}

#[test]
fn a_schema_is_obeyed() {
    let dir = thinker::folder();
    let schema = json!({
        "type": "object",
        "properties": {
            "kind": { "enum": ["bird", "fish"] },
            "legs": { "type": "integer", "minimum": 0, "maximum": 8 },
        },
        "required": ["kind", "legs"],
        "additionalProperties": false,
    });
    fs::write(dir.path().join("schema.json"), schema.to_string()).unwrap();
    for seed in ["1", "2", "3"] {
        let args = ["-p", "A robin:", "--seed", seed, "--temp", "1"];
        let inline = object(dir.path(), &[&args[..], &["--json-schema", &schema.to_string()]].concat());
        let value: Value = serde_json::from_str(inline["text"].as_str().unwrap()).unwrap();
        assert!(["bird", "fish"].contains(&value["kind"].as_str().unwrap()), "{value}");
        assert!((0..=8).contains(&value["legs"].as_i64().unwrap()), "{value}");
        assert_eq!(inline["finish"], "stop");
        assert_eq!(object(dir.path(), &[&args[..], &["--json-schema", "schema.json"]].concat()), inline);
    }
    let matched = generate(dir.path(), &["-p", "x", "--regex", "(ab|cd){2}!", "--temp", "1"]);
    assert!(["abab!\n", "abcd!\n", "cdab!\n", "cdcd!\n"].contains(&matched.as_str()), "{matched}");
    let described = generate(dir.path(), &["-p", "x", "--grammar", "start: \"yes\" | \"no\""]);
    assert!(["yes\n", "no\n"].contains(&described.as_str()), "{described}");
}

#[test]
fn a_bias_forbids_and_a_chat_is_laid_out() {
    let dir = thinker::folder();
    let chat = ["--chat", "--think", "off", "-p", "Hi", "--temp", "0", "-n", "4"];
    let plain = object(dir.path(), &["-p", "Hi", "--temp", "0", "-n", "4", "--logprobs", "0"]);
    let first = plain["logprobs"][0]["id"].as_u64().unwrap();
    let forbidden = format!("{first}-inf");
    let args = ["-p", "Hi", "--temp", "0", "-n", "1", "--logprobs", "0", "--logit-bias", &forbidden];
    assert_ne!(object(dir.path(), &args)["logprobs"][0]["id"].as_u64(), Some(first));
    let laid_out = object(dir.path(), &chat);
    assert!(laid_out["prompt_tokens"].as_u64() > plain["prompt_tokens"].as_u64());
    let told = object(dir.path(), &[&chat[1..], &["--system", "Be brief."]].concat());
    assert!(told["prompt_tokens"].as_u64() > laid_out["prompt_tokens"].as_u64());
}

#[test]
fn a_thought_is_kept_apart_from_the_answer() {
    let dir = thinker::folder();
    // A model that never ends its thought says nothing.
    let value = object(dir.path(), &["--chat", "--think", "on", "-p", "Hi", "-n", "5"]);
    assert_eq!(value["text"], "");
    assert!(!value["reasoning"].as_str().unwrap().is_empty());
    let off = object(dir.path(), &["--chat", "--think", "off", "-p", "Hi", "-n", "5"]);
    assert!(off.get("reasoning").is_none() && !off["text"].as_str().unwrap().is_empty());
}

#[test]
fn a_grammar_begins_after_the_thought() {
    let dir = thinker::folder();
    let words = mynah_gguf::GgufFile::open(dir.path().join("tiny.gguf")).unwrap();
    let names = words.get_str_array("tokenizer.ggml.tokens").unwrap().unwrap();
    let end = names.iter().position(|name| name == "</think>").unwrap();
    // The model ends its thought as soon as it can, which is at once.
    let bias = format!("{end}+100");
    let args = ["--chat", "--think", "on", "-p", "Hi", "--logit-bias", &bias, "--regex", "(yes|no)!"];
    let value = object(dir.path(), &[&args[..], &["--logprobs", "0"]].concat());
    assert!(["yes!", "no!"].contains(&value["text"].as_str().unwrap()), "{value}");
    assert_eq!(
        (value["logprobs"][0]["id"].as_u64(), value["finish"].as_str()),
        (Some(end as u64), Some("stop"))
    );
}

#[test]
fn a_pipe_is_a_chat_of_plain_turns() {
    let dir = thinker::folder();
    let two = said(&chat(dir.path(), &["-q", "--think", "off"], "Hello\n\nAnd you?\n"));
    let one = said(&chat(dir.path(), &["-q", "--think", "off"], "Hello\n"));
    assert!(two.starts_with(&one) && two.len() > one.len());
    let same = ["--chat", "--think", "off", "-p", "Hello", "-n", "8"];
    assert_eq!(generate(dir.path(), &same), one);
    // What a turn is answered depends on what was said before.
    let other = said(&chat(dir.path(), &["-q", "--think", "off"], "Hola\nAnd you?\n"));
    assert_ne!(other.lines().last(), two.lines().last());
}

#[test]
fn commands_steer_a_chat() {
    let dir = thinker::folder();
    let lines = "/think off\n/system Be\\\nbrief.\nHello\n/save a.json\n/regen\n/save b.json\n/reset\n/save c.json\n/load a.json\nMore?\n/save d.json\n//slash\n/exit\nunheard\n";
    said(&chat(dir.path(), &["-q"], lines));
    let read = |name: &str| -> Vec<Value> {
        let text = fs::read_to_string(dir.path().join(name)).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        value["messages"].as_array().unwrap().clone()
    };
    let roles = |name: &str| -> Vec<String> {
        read(name).iter().map(|message| message["role"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(roles("a.json"), ["system", "user", "assistant"]);
    assert_eq!(read("a.json")[0]["content"], "Be\nbrief.");
    assert_eq!(read("a.json")[1]["content"], "Hello");
    let (a, b) = (read("a.json"), read("b.json"));
    assert_eq!(a[..2], b[..2]);
    assert_ne!(a[2], b[2], "another answer");
    assert_eq!(roles("c.json"), ["system"]);
    assert_eq!(roles("d.json"), ["system", "user", "assistant", "user", "assistant"]);
    assert_eq!(read("d.json")[..3], a[..]);
}

#[cfg(unix)]
#[test]
fn others_may_read_a_saved_chat_and_links_are_followed() {
    use std::os::unix::fs::PermissionsExt;
    let dir = thinker::folder();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("plain"), "").unwrap();
    fs::write(path("real.json"), "old").unwrap();
    std::os::unix::fs::symlink(path("real.json"), path("link.json")).unwrap();
    said(&chat(dir.path(), &["-q"], "/save new.json\n/save link.json\n/save /dev/null\n"));
    let mode = |name: &str| fs::metadata(path(name)).unwrap().permissions().mode();
    assert_eq!((mode("new.json"), mode("real.json")), (mode("plain"), mode("plain")));
    assert!(fs::symlink_metadata(path("link.json")).unwrap().is_symlink());
    assert!(fs::read_to_string(path("real.json")).unwrap().contains("messages"));
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn what_is_said_on_stderr() {
    let dir = thinker::folder();
    let output = chat(dir.path(), &["--think", "off"], "Hello\n/stats\n/help\n");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(
        output.status.success() && text.contains("tokens/s; prompt of ") && text.contains("context of 4096"),
        "{text}"
    );
    assert!(text.ends_with("Ctrl-C ends the answer, not the program.\n"), "{text}");
    let long = format!("{}\nMore\n", "Hello ".repeat(200));
    let again = chat(dir.path(), &["--think", "off"], &long);
    assert!(
        String::from_utf8(again.stderr).unwrap().contains(" of them known"),
        "the beginning is not computed again"
    );
}

#[test]
fn what_goes_wrong() {
    let dir = thinker::folder();
    thinker::write(dir.path(), "mute.gguf", 1, &[("tokenizer.chat_template", None)]);
    thinker::write(dir.path(), "wordless.gguf", 1, &[("tokenizer.ggml.merges", None)]);
    fs::write(dir.path().join("bad.json"), "{\"type\": ").unwrap();
    fs::copy(fixture("parakeet/ctc/model.gguf"), dir.path().join("ears.gguf")).unwrap();
    let cases: [&[&str]; 19] = [
        &["generate", "-p", "x"],
        &["generate", "-m", "none.gguf", "-p", "x"],
        &["generate", "-m", "ears.gguf", "-p", "x"],
        &["generate", "-m", "wordless.gguf", "-p", "x"],
        &["generate", "-m", "mute.gguf", "-p", "x", "--chat"],
        &["generate", "-m", "tiny.gguf", "-p", ""],
        &["generate", "-m", "tiny.gguf", "-p", "one two three four five", "-c", "2"],
        &["generate", "-m", "tiny.gguf", "-p", "x", "--temp", "-1"],
        &["generate", "-m", "tiny.gguf", "-p", "x", "--logit-bias", "5"],
        &["generate", "-m", "tiny.gguf", "-p", "x", "--logit-bias", "999999+1"],
        &["generate", "-m", "tiny.gguf", "-p", "x", "--logprobs", "2"],
        &["generate", "-m", "tiny.gguf", "-p", "x", "--think", "on"],
        &["generate", "-m", "tiny.gguf", "-p", "x", "--json-schema", "bad.json"],
        &["generate", "-m", "tiny.gguf", "-p", "x", "--json-schema", "{\"type\": \"cat\"}"],
        &["generate", "-m", "tiny.gguf", "-p", "x", "--regex", "(", "--json-object"],
        &["generate", "-m", "tiny.gguf", "-p", "x", "--regex", "("],
        &["chat", "-m", "mute.gguf"],
        &["bench", "ppl", "-m", "tiny.gguf", "bad.json"],
        &["bench", "llm", "-m", "tiny.gguf", "-d", "5000", "--no-peaks"],
    ];
    let all: Vec<String> = cases
        .iter()
        .map(|args| format!("$ mynah {}\n{}", args.join(" "), whole(&run(dir.path(), args))))
        .collect();
    insta::assert_snapshot!(all.join("\n"));
    let wrong = chat(dir.path(), &["-q"], "/sing\nHello\n");
    insta::assert_snapshot!(whole(&wrong));
}

#[test]
fn perplexity_is_that_of_the_second_halves() {
    let dir = thinker::folder();
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(40);
    fs::write(dir.path().join("text.txt"), &text).unwrap();
    let ppl = |args: &[&str]| -> Value {
        let all = ["bench", "ppl", "-m", "tiny.gguf", "--precision", "exact", "text.txt", "--json"];
        serde_json::from_str(&stdout(dir.path(), &[&all, args].concat())).unwrap()
    };
    let value = ppl(&["--window", "64"]);
    let windows = value["windows"].as_u64().unwrap();
    assert!(windows > 3);
    assert_eq!(value["counted_tokens"].as_f64().unwrap() as u64, windows * 31);
    let (perplexity, mean) =
        (value["perplexity"].as_f64().unwrap(), value["mean_negative_log_probability"].as_f64().unwrap());
    assert!((perplexity - mean.exp()).abs() < 1e-9 * perplexity && perplexity > 1.0);
    let one = ppl(&["--window", "64", "--windows", "1"]);
    assert_eq!(one["perplexity"], value["perplexity_after_each_window"][0]);
    // The same by hand: what `generate` says of the tokens that follow, forced by a grammar.
    let shown = stdout(
        dir.path(),
        &["bench", "ppl", "-m", "tiny.gguf", "--precision", "exact", "text.txt", "--window", "64"],
    );
    assert!(shown.starts_with(&format!("perplexity  {perplexity:.4} ± ")), "{shown}");
}

#[test]
fn a_model_is_timed() {
    let dir = thinker::folder();
    let args =
        ["bench", "llm", "-m", "tiny.gguf", "-p", "16", "-n", "4", "-d", "0,20", "-b", "1,3", "-r", "2"];
    let value: Value =
        serde_json::from_str(&stdout(dir.path(), &[&args[..], &["--json", "-t", "1"]].concat())).unwrap();
    let results = value["results"].as_array().unwrap();
    let names: Vec<&str> = results.iter().map(|r| r["test"].as_str().unwrap()).collect();
    let expected =
        ["pp16", "pp16 × 3", "pp16 @ d20", "pp16 @ d20 × 3", "tg4", "tg4 × 3", "tg4 @ d20", "tg4 @ d20 × 3"];
    assert_eq!(names, expected);
    for result in results {
        let rates = &result["tokens_per_second"];
        assert_eq!(rates["each"].as_array().unwrap().len(), 2);
        assert!(rates["mean"].as_f64().unwrap() > 0.0 && result["of_ceiling"].as_f64().unwrap() > 0.0);
        assert_eq!(result["of_reads"].is_null(), result["kind"] == "pp");
    }
    let bytes = |at: usize| results[at]["bytes_per_token"].as_f64().unwrap();
    assert!(bytes(5) < bytes(4), "three sequences share the weights");
    assert!(bytes(6) > bytes(4), "keys and values of twenty tokens more");
    let table = stdout(dir.path(), &[&args[..], &["--no-peaks"]].concat());
    assert!(table.lines().any(|line| line.contains("tg4 @ d20 × 3")), "{table}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_answer_and_not_the_chat() {
    use std::io::{BufRead as _, BufReader, Read as _};
    let dir = thinker::folder();
    let args = ["chat", "-m", "tiny.gguf", "--precision", "exact", "--think", "off", "-t", "1"];
    // No end for a long while: those that end an answer are forbidden.
    let ends = ["--logit-bias", "5256-inf,5257-inf,5258-inf,5259-inf,5260-inf,5261-inf,5262-inf,5263-inf"];
    let mut command = mynah(dir.path());
    command.args(args).args(ends).args(["-n", "4000", "--temp", "2", "--stop", "never"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"Hello\n").unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut first = [0; 1];
    output.read_exact(&mut first).unwrap();
    let interrupt = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    assert_eq!(errors.next().unwrap().unwrap(), "note: interrupted");
    input.write_all(b"/save after.json\n").unwrap();
    drop(input);
    std::io::copy(&mut output, &mut std::io::sink()).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(fs::read_to_string(dir.path().join("after.json")).unwrap().contains("assistant"));
}
