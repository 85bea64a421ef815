//! `mynah generate` and `chat` with tools and with drafts, on tiny random language models.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]
#![allow(dead_code, reason = "the support is for other tests too")]

mod support;
#[path = "support/thinker.rs"]
mod thinker;

use mynah_gguf::GgufFile;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};
use support::{fixture, mynah, run, stdout, whole};

fn tools() -> Value {
    json!([
        { "type": "function", "function": { "name": "get_weather", "parameters": {
            "type": "object",
            "properties": { "city": { "enum": ["Oslo", "Rome"] }, "sure": { "type": "boolean" } },
            "required": ["city", "sure"],
        } } },
        { "name": "get_news", "parameters": { "properties": { "of": { "enum": ["today"] } }, "required": ["of"] } },
    ])
}

/// A folder with a model and its tools.
fn folder() -> tempfile::TempDir {
    let dir = thinker::folder();
    fs::write(dir.path().join("tools.json"), tools().to_string()).unwrap();
    dir
}

/// Flags under which a random model calls a tool, once, and ends: it likes to begin a call best, then to end it, then to end the answer,
/// and dislikes what it has said.
fn calling(dir: &Path) -> Vec<String> {
    let file = GgufFile::open(dir.join("tiny.gguf")).unwrap();
    let names = file.get_str_array("tokenizer.ggml.tokens").unwrap().unwrap();
    let likes = [("<tool_call>", 400), ("</tool_call>", 300), ("<|endoftext|>", 200)]
        .map(|(name, bias)| format!("{}+{bias}", names.iter().position(|other| other == name).unwrap()));
    let flags = ["--tools", "tools.json", "--think", "off", "--temp", "0", "--presence-penalty", "500"];
    let rest = ["--repeat-last-n", "150", "--logit-bias", &likes.join(",")];
    flags.iter().chain(&rest).map(ToString::to_string).collect()
}

/// Longer than the window of the penalty, so that the template's words about calls are out of it.
fn question() -> String {
    "How is it? ".repeat(60)
}

fn generate(dir: &Path, more: &[&str]) -> Output {
    let mut command = mynah(dir);
    command.args([
        "generate",
        "-m",
        "tiny.gguf",
        "--precision",
        "exact",
        "-q",
        "-n",
        "150",
        "-p",
        &question(),
    ]);
    command.args(calling(dir)).args(more).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Whether a call is one of the tools'.
fn is_call(call: &Value) -> bool {
    let arguments = &call["arguments"];
    match call["name"].as_str() {
        Some("get_weather") => {
            ["Oslo", "Rome"].contains(&arguments["city"].as_str().unwrap()) && arguments["sure"].is_boolean()
        }
        Some("get_news") => *arguments == json!({ "of": "today" }),
        _ => false,
    }
}

#[test]
fn a_call_follows_its_definition_and_is_written_as_json() {
    let dir = folder();
    let text = said(&generate(dir.path(), &[]));
    let call: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(is_call(&call) && text.ends_with("}\n"), "{text}");
    assert_eq!(said(&generate(dir.path(), &["--no-stream"])), text);

    let value: Value = serde_json::from_str(&said(&generate(dir.path(), &["-f", "json"]))).unwrap();
    assert_eq!((&value["finish"], &value["text"]), (&json!("tool_calls"), &json!("")));
    assert_eq!(value["tool_calls"], json!([{ "type": "function", "function": call }]));

    let lines = said(&generate(dir.path(), &["-f", "json", "--stream"]));
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], json!({ "tool_call": { "type": "function", "function": call } }));
    assert_eq!(lines[1]["finish"], "tool_calls");
}

fn chat(dir: &Path, lines: &str) -> Output {
    let mut command = mynah(dir);
    command.args(["chat", "-m", "tiny.gguf", "--precision", "exact", "-n", "150"]).args(calling(dir));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_chat_takes_the_results_of_calls() {
    let dir = folder();
    let question = question();
    let output = chat(dir.path(), &format!("{question}\n/tool {question}\n/save a.json\n"));
    let text = said(&output);
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(notes.contains(" was called; /tool RESULT says what it has come to"), "{notes}");
    assert!(
        text.lines().all(|line| is_call(&serde_json::from_str(line).unwrap())) && text.lines().count() == 2
    );
    let saved: Value = serde_json::from_str(&fs::read_to_string(dir.path().join("a.json")).unwrap()).unwrap();
    let messages = saved["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages.iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "assistant"]);
    assert_eq!(messages[2]["tool_call_id"], messages[1]["tool_calls"][0]["id"]);
    assert_eq!(messages[2]["content"], question.trim());
    assert!(is_call(&messages[1]["tool_calls"][0]["function"]));
    // A chat that was saved while a call waits goes on where it was.
    chat(dir.path(), &format!("{question}\n/save b.json\n"));
    let again = chat(dir.path(), &format!("/load b.json\n/tool {question}\n"));
    assert_eq!(said(&again).lines().next(), text.lines().nth(1));
    // Nothing else can be said while a call waits, and no result without one.
    for (lines, why) in [
        (format!("{question}\nHello\n"), "the model waits for what "),
        ("/tool 7\n".to_owned(), "no call waits for a result"),
        (format!("{question}\n/tool {question}\n/reset\n/tool 7\n"), "no call waits for a result"),
    ] {
        let output = chat(dir.path(), &lines);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(why), "{error}");
    }
}

#[test]
fn tools_that_are_none_are_errors() {
    let dir = folder();
    fs::write(dir.path().join("empty.json"), "[]").unwrap();
    fs::write(dir.path().join("spaced.json"), r#"[{"name": "a b"}]"#).unwrap();
    for (file, why) in [
        ("none.json", "can't read none.json"),
        ("empty.json", "empty.json has no tools"),
        ("spaced.json", "calls of the tool 'a b' can't be described"),
        ("tiny.gguf", "can't read tiny.gguf"),
    ] {
        let told = whole(&run(dir.path(), &["generate", "-m", "tiny.gguf", "-p", "x", "--tools", file]));
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn drafts_change_nothing_but_the_number_of_steps() {
    let dir = thinker::folder();
    thinker::write_case(dir.path(), "drafting.gguf", "drafting", 1, &[]);
    let say = |more: &[&str]| -> Value {
        let all = ["generate", "-m", "drafting.gguf", "-q", "-p", "Once upon", "-n", "24", "-f", "json"];
        let mut value: Value = serde_json::from_str(&stdout(dir.path(), &[&all[..], more].concat())).unwrap();
        let fields = value.as_object_mut().unwrap();
        fields.remove("seconds");
        fields.remove("tokens_per_second");
        value
    };
    for more in [
        &["--temp", "0"][..],
        &["--temp", "1", "--seed", "4", "--logprobs", "1"],
        &["--regex", "[a-z ]{9}[.]"],
    ] {
        let plain = say(more);
        assert!(plain.get("drafts").is_none());
        for drafts in ["1", "3"] {
            let mut drafted = say(&[more, &["--draft", drafts]].concat());
            let told = drafted.as_object_mut().unwrap().remove("drafts").unwrap();
            assert!(
                told["drafted"].as_u64() > Some(0) && told["accepted"].as_u64() <= told["drafted"].as_u64()
            );
            assert_eq!(drafted, plain, "{more:?}, {drafts} drafts");
        }
    }
    let line = whole(&run(
        dir.path(),
        &["generate", "-m", "drafting.gguf", "-p", "Once upon", "-n", "9", "--draft", "2"],
    ));
    assert!(line.contains(" drafts right ("), "{line}");
    // Measured as well, and refused where nothing drafts.
    let args = [
        "bench",
        "llm",
        "-m",
        "drafting.gguf",
        "-p",
        "0",
        "-n",
        "8",
        "-d",
        "0,9",
        "-b",
        "2",
        "--draft",
        "0,2",
    ];
    let more = ["-r", "2", "--no-peaks", "--json"];
    let value: Value = serde_json::from_str(&stdout(dir.path(), &[&args[..], &more].concat())).unwrap();
    let results = value["results"].as_array().unwrap();
    let names: Vec<&str> = results.iter().map(|r| r["test"].as_str().unwrap()).collect();
    assert_eq!(names, ["tg8 × 2", "tg8 × 2, 2 drafts", "tg8 @ d9 × 2", "tg8 @ d9 × 2, 2 drafts"]);
    for result in results {
        assert!(result["tokens_per_second"]["mean"].as_f64() > Some(0.0));
        assert_eq!(result["drafted"].as_u64() > Some(0), result["drafts"].as_u64() > Some(0));
    }
    for verb in [&["generate", "-p", "x"][..], &["bench", "llm", "--no-peaks"]] {
        let told = whole(&run(dir.path(), &[verb, &["-m", "tiny.gguf", "--draft", "1"]].concat()));
        assert!(told.contains("drafting with a file that has no layer for it is not supported"), "{told}");
    }
}
