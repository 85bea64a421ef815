//! The generator on a tiny random model that was given the tokenizer of `fixtures/text` and a chat template.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use mynah::{
    ChatRequest, Choice, Choose, ChooseError, DeviceChoice, EngineError, EngineOptions, Error,
    GenerateOptions, Generator, Message, Options, Output, Part, Specials, StopReason, open_devices,
};
use mynah::{Device, DeviceReport, Devices, Policy, Route};
use mynah_device::{DeviceError, Session, Unsupported};
use mynah_gguf::{GgufFile, GgufWriter, Value};
use mynah_graph::{Graph, Node};
use mynah_tensor::HostTensor;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(path)
}

/// The model's rows are repeated until there is one for each token.
fn file(template: Option<&str>) -> GgufFile {
    file_of("dense", template)
}

fn file_of(case: &str, template: Option<&str>) -> GgufFile {
    let model = GgufFile::open(fixture(&format!("qwen35/{case}/model.gguf"))).unwrap();
    let text = GgufFile::open(fixture("text/qwen35.gguf")).unwrap();
    let tokens = text.get_str_array("tokenizer.ggml.tokens").unwrap().unwrap().len();
    let tensors: Vec<(&str, HostTensor)> = model
        .tensors()
        .iter()
        .map(|t| {
            let tensor = model.host_tensor(t).unwrap();
            let rows = matches!(t.name.as_str(), "token_embd.weight" | "output.weight");
            let tensor = if rows {
                let width = t.shape.last();
                let all = tensor.to_f32();
                let repeated: Vec<f32> = all.iter().copied().cycle().take(tokens * width).collect();
                HostTensor::from_f32([tokens, width], &repeated).unwrap()
            } else {
                tensor
            };
            (t.name.as_str(), tensor)
        })
        .collect();
    let mut writer = GgufWriter::new();
    for (key, value) in model.metadata().iter().chain(text.metadata().iter()) {
        let tokenizer = key.starts_with("tokenizer.ggml.");
        if tokenizer
            || key.starts_with("qwen35.")
            || key == "general.architecture" && value == &Value::from("qwen35")
        {
            writer.set(key, value.clone());
        }
    }
    if let Some(template) = template {
        writer.set("tokenizer.chat_template", template);
    }
    for (name, t) in &tensors {
        writer.tensor_bytes(*name, t.dtype(), t.shape().dims(), t.data()).unwrap();
    }
    let mut bytes = Vec::new();
    writer.write_to(&mut bytes).unwrap();
    GgufFile::from_bytes(bytes).unwrap()
}

const TEMPLATE: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}";

fn generator() -> Generator {
    let devices = open_devices(DeviceChoice::Cpu, Some(2)).unwrap();
    Generator::on(file(Some(TEMPLATE)), devices, &Options::default(), EngineOptions::default()).unwrap()
}

/// Says given tokens, whatever the model thinks of it.
struct Script(Vec<u32>);

impl Choose for Script {
    fn choose(&mut self, _: &mut [f32]) -> Result<Choice, ChooseError> {
        let token = if self.0.is_empty() { None } else { Some(self.0.remove(0)) };
        let token = token.ok_or_else(|| ChooseError { reason: "the script is over".into() })?;
        Ok(Choice { token, ..Choice::default() })
    }
}

/// Options under which a model says a text, and ends.
fn script(generator: &Generator, text: &str, stops: &[&str]) -> GenerateOptions {
    let mut tokens = generator.tokenizer().encode(text, Specials::All);
    tokens.push(generator.tokenizer().eos().unwrap());
    let stops = stops.iter().map(ToString::to_string).collect();
    GenerateOptions { stops, chooser: Box::new(Script(tokens)), ..GenerateOptions::default() }
}

fn listen(said: &mut Vec<String>) -> impl FnMut(Output<&str>) -> ControlFlow<()> {
    |output| {
        if let Output::Piece(text) = output {
            said.push(text.to_owned());
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn a_text_is_completed_and_given_out_piece_by_piece() {
    let mut generator = generator();
    let mut said = Vec::new();
    let options = || GenerateOptions { max_tokens: Some(40), ..GenerateOptions::default() };
    let first = generator.complete("The bird", options(), &mut listen(&mut said)).unwrap();
    assert_eq!((first.reason, first.choices.len()), (StopReason::Length, 40));
    assert_eq!(said.concat(), first.text);
    assert!(said.len() > 5 && said.iter().all(|text| !text.is_empty()));
    let ids: Vec<u32> = first.choices.iter().map(|c| c.token).collect();
    assert_eq!(first.text, generator.tokenizer().decode(&ids).unwrap());
    assert_eq!(first.prompt_tokens, generator.encode("The bird", Specials::All).len());
    // Again, from what the engine kept.
    let again = generator.complete("The bird", options(), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((again.text, again.choices), (first.text, first.choices));
}

#[test]
fn characters_come_whole_and_stop_strings_not_at_all() {
    let mut generator = generator();
    let mut said = Vec::new();
    let options = script(&generator, "Größe 雨, then STOP and more", &["STOP", "\n\n"]);
    let done = generator.complete("x", options, &mut listen(&mut said)).unwrap();
    assert_eq!((done.text.as_str(), done.reason), ("Größe 雨, then ", StopReason::Stop));
    assert!(!said.concat().contains('\u{fffd}') && said.concat() == done.text);
    // What may be the beginning of a stop string is given out when the answer ends.
    let options = script(&generator, "it may STO", &["STOP"]);
    let done = generator.complete("x", options, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((done.text.as_str(), done.reason), ("it may STO", StopReason::End));
}

#[test]
fn drafts_change_no_word_and_no_stop() {
    let open = |drafts| {
        let devices = open_devices(DeviceChoice::Cpu, Some(2)).unwrap();
        let engine = EngineOptions { drafts, ..EngineOptions::default() };
        Generator::on(file_of("drafting", None), devices, &Options::default(), engine).unwrap()
    };
    let (mut plain, mut drafting) = (open(0), open(3));
    let run = |generator: &mut Generator, stops: &[String]| {
        let stops = stops.to_vec();
        let options = GenerateOptions { max_tokens: Some(40), stops, ..GenerateOptions::default() };
        generator.complete("The bird", options, &mut |_| ControlFlow::Continue(())).unwrap()
    };
    let whole = run(&mut plain, &[]);
    let drafted = run(&mut drafting, &[]);
    assert_eq!((&drafted.text, &drafted.choices), (&whole.text, &whole.choices));
    assert!(drafted.drafted_tokens >= 39 && drafted.accepted_tokens <= drafted.drafted_tokens);
    assert_eq!((whole.drafted_tokens, whole.accepted_tokens), (0, 0));
    // What was found in the same step behind a stop string is not part of the answer.
    for from in [3, 7, 11] {
        let stop: String = whole.text.chars().skip(from).take(4).collect();
        let [a, b] = [&mut plain, &mut drafting].map(|generator| run(generator, std::slice::from_ref(&stop)));
        assert_eq!((&a.text, &a.choices, a.reason), (&b.text, &b.choices, b.reason));
        assert_eq!(a.reason, StopReason::Stop);
    }
    // A file that can't draft says so before it is loaded.
    let devices = open_devices(DeviceChoice::Cpu, Some(1)).unwrap();
    let engine = EngineOptions { drafts: 1, ..EngineOptions::default() };
    let error = Generator::on(file(None), devices, &Options::default(), engine).err().unwrap();
    assert!(matches!(&error, Error::Model(e) if e.to_string().contains("no layer for it")), "{error:?}");
}

#[test]
fn a_listener_can_end_an_answer() {
    let mut generator = generator();
    let options = script(&generator, "one two three four five", &[]);
    let mut pieces = 0;
    let done = generator
        .complete("x", options, &mut |output| {
            pieces += usize::from(matches!(output, Output::Piece(_)));
            if pieces == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!((done.reason, pieces), (StopReason::Cancelled, 2));
    assert!(generator.engine().is_idle());
    // Before it says anything, too.
    let options = script(&generator, "one", &[]);
    let done = generator.complete("x", options, &mut |_| ControlFlow::Break(())).unwrap();
    assert_eq!((done.reason, done.text.as_str()), (StopReason::Cancelled, ""));
}

#[test]
fn a_chat_is_laid_out_and_its_answer_taken_apart() {
    let mut generator = generator();
    let messages = [Message::new("user", "What is <|im_end|>?")];
    let tools = [serde_json::json!({"type": "function", "function": {"name": "look", "parameters": {
        "type": "object", "properties": {"at": {"type": "integer"}}}}})];
    let request = ChatRequest {
        messages: &messages,
        tools: &tools,
        add_generation_prompt: true,
        ..ChatRequest::default()
    };
    let text = "Hm.\n</think>\n\nLet me see.\n<tool_call>\n<function=look>\n<parameter=at>\n3\n</parameter>\n</function>\n</tool_call>";
    let options = script(&generator, text, &[]);
    let mut parts = Vec::new();
    let mut prompts = Vec::new();
    let said = generator
        .chat(&request, options, &mut |output| {
            match output {
                Output::Piece(part) => parts.push(part),
                Output::Prompt { done, of } => prompts.push((done, of)),
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((said.answer.reasoning.as_str(), said.answer.text.as_str()), ("Hm.", "Let me see."));
    assert_eq!(said.answer.calls[0].function.arguments, serde_json::json!({"at": 3}));
    assert_eq!((said.generated.reason, said.generated.text.as_str()), (StopReason::End, text));
    assert!(
        parts.iter().any(|p| matches!(p, Part::Reasoning(_)))
            && parts.iter().any(|p| matches!(p, Part::Call { .. }))
    );
    // What the user wrote is no mark of the chat: the only end of a turn in the prompt is the template's.
    let prompt = generator.template().unwrap().render(&request, generator.tokenizer().specials()).unwrap();
    let tokens = generator.tokenizer().encode_prompt(&prompt);
    assert_eq!(prompts.last(), Some(&(tokens.len(), tokens.len())));
    let end = generator.encode("<|im_end|>", Specials::All)[0];
    assert_eq!(tokens.iter().filter(|&&t| t == end).count(), 1);
}

#[test]
fn what_goes_wrong_is_said() {
    let devices = || open_devices(DeviceChoice::Cpu, Some(1)).unwrap();
    let engine = EngineOptions { context: Some(16), ..EngineOptions::default() };
    let mut plain = Generator::on(file(None), devices(), &Options::default(), engine).unwrap();
    let error =
        plain.chat(&ChatRequest::default(), GenerateOptions::default(), &mut |_| ControlFlow::Continue(()));
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Template(_)) && error.hint().is_some());
    let mut complete = |text: &str| {
        let done = plain.complete(text, GenerateOptions::default(), &mut |_| ControlFlow::Continue(()));
        match done {
            Ok(done) => Ok(done.reason),
            Err(Error::Engine(error)) => Err(error),
            Err(other) => panic!("{other:?}"),
        }
    };
    assert!(matches!(*complete("").unwrap_err(), EngineError::EmptyPrompt));
    let error = complete(&"word ".repeat(30)).unwrap_err();
    assert!(matches!(*error, EngineError::Context { context: 16, .. }), "{error}");
    assert_eq!(complete("a b c").unwrap(), StopReason::Context);
    let options = GenerateOptions { chooser: Box::new(Script(vec![])), ..GenerateOptions::default() };
    let error = plain.complete("a", options, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(&error, Error::Engine(e) if matches!(**e, EngineError::Choose(_))), "{error:?}");
    // A model of another kind, and one without a tokenizer.
    let ears = GgufFile::open(fixture("parakeet/tdt/model.gguf")).unwrap();
    let error = Generator::on(ears, devices(), &Options::default(), engine).err().unwrap();
    assert!(matches!(error, Error::Model(_)) && error.hint().is_some(), "{error:?}");
    let mute = GgufFile::open(fixture("qwen35/dense/model.gguf")).unwrap();
    let error = Generator::on(mute, devices(), &Options::default(), engine).err().unwrap();
    assert!(matches!(error, Error::Tokenizer(_)), "{error:?}");
}

/// The CPU, with hardly any memory left.
struct Small(Arc<dyn Device>);

impl Device for Small {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn report(&self) -> DeviceReport {
        DeviceReport { memory: Some(1_000_000), ..self.0.report() }
    }

    fn routes(&self) -> &[Route] {
        self.0.routes()
    }

    fn supports(&self, graph: &Graph, node: &Node) -> Result<(), Unsupported> {
        self.0.supports(graph, node)
    }

    fn in_place(&self, graph: &Graph, node: &Node) -> Option<usize> {
        self.0.in_place(graph, node)
    }

    fn open(&self, policy: &Policy) -> Result<Box<dyn Session>, DeviceError> {
        self.0.open(policy)
    }
}

#[test]
fn memory_is_asked_for_before_it_is_needed() {
    let devices = open_devices(DeviceChoice::Cpu, Some(1)).unwrap();
    let engine = EngineOptions::default();
    let estimate =
        Generator::estimate(&file(None), devices.device.as_ref(), &Policy::default(), &engine).unwrap();
    assert!(estimate.weights > 1_000_000 && estimate.activations > 0);
    assert!(estimate.total(8, 4096) > estimate.total(1, 1));
    let small = Devices { device: Arc::new(Small(devices.device)), fallback: None };
    let error = Generator::on(file(None), small, &Options::default(), engine).err().unwrap();
    let Error::Memory { needed, available: 1_000_000 } = error else { panic!("{error:?}") };
    assert_eq!(needed, estimate.total(1, 1));
    assert!(error.hint().is_some() && error.to_string().ends_with("and the device has 1 MB left"), "{error}");
}
