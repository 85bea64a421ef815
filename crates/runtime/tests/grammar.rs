//! Grammars over the small vocabularies of `fixtures/text`: what random models write under a constraint follows it.

#![allow(clippy::unwrap_used, reason = "an error is a failed test")]

use std::path::Path;
use std::sync::LazyLock;

use mynah_gguf::GgufFile;
use mynah_runtime::grammar::{Constraint, Grammar, GrammarCompiler, GrammarError, Scope};
use mynah_runtime::sample::{Sampler, SamplerOptions};
use mynah_tensor::Rng;
use mynah_text::answer::{Answer, CallForm};
use mynah_text::bpe::{Kind, Specials, Tokenizer};
use mynah_text::stream::TextStream;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Logits of a model are more than the tokenizer has tokens.
const SURPLUS: usize = 37;

static MODEL: LazyLock<(Tokenizer, GrammarCompiler)> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/text/qwen35.gguf");
    let tokenizer = Tokenizer::from_metadata(GgufFile::open(path).unwrap().metadata()).unwrap();
    let compiler = GrammarCompiler::new(&tokenizer, tokenizer.len() + SURPLUS).unwrap();
    (tokenizer, compiler)
});

fn compile(grammar: &Grammar) -> Result<Constraint, GrammarError> {
    MODEL.1.compile(grammar, Scope::default())
}

fn id(name: &str) -> u32 {
    let ids = MODEL.0.encode(name, Specials::All);
    assert_eq!(ids.len(), 1, "{name}");
    ids[0]
}

/// The tokens a model of random logits writes until it ends, and whether it did within `limit`. With `ends` above 0 it likes to end.
fn write(constraint: &mut Constraint, seed: u64, ends: f32, limit: usize) -> (Vec<u32>, bool) {
    let size = MODEL.0.len() + SURPLUS;
    let options = SamplerOptions { seed, temperature: 0.7, ..SamplerOptions::default() };
    let (mut sampler, mut rng) = (Sampler::new(options).unwrap(), Rng::new(seed));
    let (mut logits, mut tokens) = (vec![0.0; size], Vec::new());
    while tokens.len() < limit && !constraint.is_finished() {
        rng.fill_normal(&mut logits, 2.0);
        for &end in MODEL.0.ends() {
            logits[end as usize] += ends;
        }
        let mask = constraint.mask().unwrap();
        if let Some(mask) = mask {
            for token in mask.tokens() {
                let special = MODEL.0.kind(token).map_or(true, |kind| kind != Kind::Normal);
                assert!(!special || MODEL.0.is_end(token), "special token {token} is allowed");
            }
        }
        let token = sampler.sample(&logits, mask).unwrap().token;
        constraint.accept(token).unwrap();
        if MODEL.0.is_end(token) {
            return (tokens, true);
        }
        tokens.push(token);
    }
    (tokens, constraint.is_finished())
}

fn text(tokens: &[u32]) -> String {
    let bytes: Vec<u8> = tokens.iter().flat_map(|&t| MODEL.0.token_bytes(t).unwrap().to_vec()).collect();
    String::from_utf8(bytes).unwrap()
}

/// The ids that spell a text, special names as text.
fn accept_text(constraint: &mut Constraint, text: &str) -> Result<(), GrammarError> {
    MODEL.0.encode(text, Specials::None).into_iter().try_for_each(|token| constraint.accept(token))
}

fn person() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "maxLength": 12 },
            "age": { "type": "integer", "minimum": 0, "maximum": 150 },
            "pets": { "type": "array", "items": { "$ref": "#/$defs/pet" }, "minItems": 1, "maxItems": 2 },
        },
        "required": ["name", "age", "pets"],
        "additionalProperties": false,
        "$defs": { "pet": { "enum": ["cat", "Hund", "魚"] } },
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn answers_fulfil_the_schema(seed in any::<u64>()) {
        let mut constraint = compile(&Grammar::JsonSchema(person())).unwrap();
        let (tokens, finished) = write(&mut constraint, seed, 0.0, 2000);
        prop_assert!(finished);
        let value: Value = serde_json::from_str(&text(&tokens)).unwrap();
        prop_assert!(value["name"].as_str().unwrap().chars().count() <= 12);
        prop_assert!((0..=150).contains(&value["age"].as_i64().unwrap()));
        let pets = value["pets"].as_array().unwrap();
        prop_assert!((1..=2).contains(&pets.len()));
        prop_assert!(pets.iter().all(|pet| ["cat", "Hund", "魚"].contains(&pet.as_str().unwrap())));
        prop_assert_eq!(value.as_object().unwrap().len(), 3);
    }

    #[test]
    fn json_is_an_object(seed in any::<u64>()) {
        let mut constraint = compile(&Grammar::Json).unwrap();
        // A model without a plan may never close its brackets; what ended is an object.
        let (tokens, finished) = write(&mut constraint, seed, 30.0, 300);
        if finished {
            prop_assert!(serde_json::from_str::<Value>(&text(&tokens)).unwrap().is_object());
        }
    }

    #[test]
    fn a_regex_is_matched_whole(seed in any::<u64>()) {
        let mut constraint = compile(&Grammar::Regex("[a-c]{2,5}(é|ü)\\d".into())).unwrap();
        let (tokens, finished) = write(&mut constraint, seed, 0.0, 50);
        prop_assert!(finished);
        let chars: Vec<char> = text(&tokens).chars().collect();
        let (last, body) = chars.split_last().unwrap();
        let (accent, letters) = body.split_last().unwrap();
        prop_assert!(last.is_numeric() && "éü".contains(*accent));
        prop_assert!((2..=5).contains(&letters.len()) && letters.iter().all(|c| ('a'..='c').contains(c)));
    }

    #[test]
    fn masks_and_accept_agree(seed in any::<u64>(), picks in prop::collection::vec(any::<u32>(), 30)) {
        let mut constraint = compile(&Grammar::JsonSchema(person())).unwrap();
        let (written, _) = write(&mut constraint.clone(), seed, 0.0, 12);
        for &token in &written {
            let mask = constraint.mask().unwrap().unwrap().clone();
            for pick in &picks {
                let pick = pick % (MODEL.0.len() + SURPLUS) as u32;
                let mut other = constraint.clone();
                prop_assert_eq!(other.accept(pick).is_ok(), mask.allows(pick));
            }
            constraint.accept(token).unwrap();
        }
    }
}

#[test]
fn a_finished_grammar_lets_nothing_follow() {
    let mut constraint = compile(&Grammar::Regex("yes|no".into())).unwrap();
    assert!(!constraint.can_end().unwrap());
    accept_text(&mut constraint, "yes").unwrap();
    assert!(constraint.is_finished());
    // Who asks all the same is told the ends.
    let mask = constraint.mask().unwrap().unwrap();
    assert_eq!(mask.tokens().collect::<Vec<_>>(), MODEL.0.ends());
    assert!(!MODEL.0.ends().is_empty());
    constraint.accept(MODEL.0.eos().unwrap()).unwrap();
    assert_eq!(constraint.accept(0), Err(GrammarError::Token { token: 0 }));
}

#[test]
fn an_end_comes_where_the_grammar_may_end() {
    let mut constraint = compile(&Grammar::Regex("a{2,4}".into())).unwrap();
    let end = MODEL.0.eos().unwrap();
    for (count, can_end) in [false, false, true, true].into_iter().enumerate() {
        assert_eq!(constraint.can_end().unwrap(), can_end, "{count}");
        assert_eq!(constraint.mask().unwrap().unwrap().allows(end), can_end, "{count}");
        assert!(!constraint.is_finished());
        accept_text(&mut constraint, "a").unwrap();
    }
    assert!(constraint.is_finished());
    // An end that is too early is refused and changes nothing.
    let mut constraint = compile(&Grammar::Regex("ab".into())).unwrap();
    assert_eq!(constraint.accept(end), Err(GrammarError::Token { token: end }));
    accept_text(&mut constraint, "ab").unwrap();
}

#[test]
fn white_space_is_bounded() {
    let mut constraint = compile(&Grammar::Json).unwrap();
    accept_text(&mut constraint, "{").unwrap();
    let spaces = MODEL.0.encode(" ", Specials::None)[0];
    let fits = (0..100).take_while(|_| constraint.accept(spaces).is_ok()).count();
    assert_eq!(fits, 40);
    accept_text(&mut constraint, "}").unwrap();
    // A schema can say what it wants.
    let schema = json!({ "type": "object", "x-guidance": { "whitespace_flexible": false } });
    let mut constraint = compile(&Grammar::JsonSchema(schema)).unwrap();
    accept_text(&mut constraint, "{").unwrap();
    assert!(constraint.accept(spaces).is_err());
}

#[test]
fn special_tokens_stay_out_even_when_named() {
    // As text a name is text.
    let mut constraint = compile(&Grammar::Regex("<\\|im_end\\|>!".into())).unwrap();
    assert!(constraint.accept(id("<|im_end|>")).is_err());
    let mut constraint = compile(&Grammar::Regex("<\\|im_end\\|>!".into())).unwrap();
    accept_text(&mut constraint, "<|im_end|>!").unwrap();
    assert!(constraint.is_finished());
    // By name there is none in the vocabulary a grammar sees; by number it is masked.
    assert!(matches!(
        compile(&Grammar::Lark("start: \"a\" <|im_end|> \"b\"".into())),
        Err(GrammarError::Lark { .. })
    ));
    for name in ["<|im_end|>", "<think>"] {
        let by_number = format!("start: \"a\" <[{}]> \"b\"", id(name));
        if let Ok(mut constraint) = compile(&Grammar::Lark(by_number)) {
            accept_text(&mut constraint, "a").unwrap();
            assert!(matches!(constraint.mask(), Err(GrammarError::Stuck { .. })), "{name}");
        }
    }
}

#[test]
fn lark() {
    let grammar = r#"
        start: greeting " " NAME "!"
        greeting: "hello" | "guten Tag"
        NAME: /[A-Z][a-z]+/
    "#;
    for (answer, fits) in
        [("hello Ada!", true), ("guten Tag Emmy!", true), ("hello ada!", false), ("hi", false)]
    {
        let mut constraint = compile(&Grammar::Lark(grammar.into())).unwrap();
        assert_eq!(
            accept_text(&mut constraint, answer).is_ok() && constraint.is_finished(),
            fits,
            "{answer}"
        );
    }
}

#[test]
fn thoughts_are_free() {
    let (thought, call) = (id("</think>"), id("<tool_call>"));
    let scope = Scope { after: Some(thought), unless: Some(call), again: false };
    let mut constraint = MODEL.1.compile(&Grammar::Regex("yes|no".into()), scope).unwrap();
    assert_eq!(constraint.mask().unwrap(), None);
    accept_text(&mut constraint, "maybe <tool_call> no, ").unwrap();
    constraint.accept(call).unwrap();
    constraint.accept(thought).unwrap();
    assert!(constraint.mask().unwrap().unwrap().allows(call));
    let mut calls = constraint.clone();
    accept_text(&mut constraint, "no").unwrap();
    assert!(constraint.is_finished());

    // A call in place of an answer; after it everything is allowed.
    calls.accept(call).unwrap();
    assert_eq!(calls.mask().unwrap(), None);
    accept_text(&mut calls, "<function=f></function>").unwrap();
    assert!(!calls.is_finished() && calls.can_end().unwrap());

    // Not in the middle of one.
    let mut constraint = MODEL.1.compile(&Grammar::Regex("yes|no".into()), scope).unwrap();
    constraint.accept(thought).unwrap();
    accept_text(&mut constraint, "y").unwrap();
    assert_eq!(constraint.accept(call), Err(GrammarError::Token { token: call }));
}

#[test]
fn stop_strings_cut_answers_short() {
    let mut constraint = compile(&Grammar::Regex("one two three".into())).unwrap();
    let mut stream = TextStream::new([" th"]);
    let mut said = String::new();
    for token in MODEL.0.encode("one two three", Specials::None) {
        constraint.accept(token).unwrap();
        said += &stream.push(&MODEL.0, token).unwrap();
        if stream.stopped() {
            break;
        }
    }
    assert_eq!((said.as_str(), stream.stopped(), constraint.can_end().unwrap()), ("one two", true, false));
}

#[test]
fn bad_grammars_are_errors() {
    let schemas = [
        json!("text"),
        json!(12),
        json!([]),
        json!({ "type": "cat" }),
        json!({ "$ref": "#/$defs/none" }),
        json!({ "$ref": "https://example.org/schema.json" }),
        json!({ "type": "string", "pattern": "(" }),
        json!({ "type": "integer", "minimum": 3, "maximum": 2 }),
        json!({ "x-guidance": { "no_such_option": 1 } }),
        json!({ "not": { "type": "string" } }),
        json!(false),
    ];
    for schema in schemas {
        let error = compile(&Grammar::JsonSchema(schema.clone())).err();
        assert!(matches!(error, Some(GrammarError::Schema { .. })), "{schema}: {error:?}");
        let said = error.unwrap().to_string();
        assert!(!said.contains("backtrace") && !said.contains(".rs"), "{schema}: {said}");
    }
    assert!(matches!(Grammar::json_schema("{\"type\": "), Err(GrammarError::Schema { .. })));
    for regex in ["(", "[z-a]", "(?=a)b", "\\"] {
        let error = compile(&Grammar::Regex(regex.into())).err();
        assert!(matches!(error, Some(GrammarError::Regex { .. })), "{regex}: {error:?}");
    }
    let deep = format!("start: {}\"a\"{}", "(".repeat(100_000), ")".repeat(100_000));
    let long = format!("start: \"{}\"", "a".repeat(2 << 20));
    for lark in ["", "begin: \"a\"", "start: missing", "start: \"a", &deep, &long, "start: %json {"] {
        let error = compile(&Grammar::Lark(lark.into())).err();
        assert!(
            matches!(error, Some(GrammarError::Lark { .. })),
            "{}: {error:?}",
            &lark[..lark.len().min(40)]
        );
    }
}

#[test]
fn a_vocabulary_larger_than_the_model() {
    let error = GrammarCompiler::new(&MODEL.0, MODEL.0.len() - 1).err();
    assert!(matches!(error, Some(GrammarError::Vocabulary { .. })), "{error:?}");
}

fn tools() -> Vec<Value> {
    let weather = json!({ "type": "function", "function": { "name": "get_weather", "parameters": {
        "type": "object",
        "properties": {
            "city": { "type": "string" },
            "unit": { "enum": ["C", "F"] },
            "days": { "type": "integer", "minimum": 1, "maximum": 14 },
            "at": { "$ref": "#/$defs/place" },
        },
        "required": ["city", "days"],
        "$defs": { "place": { "type": "array", "items": { "type": "integer" }, "minItems": 2, "maxItems": 2 } },
    } } });
    vec![weather, json!({ "name": "stop" })]
}

/// What comes behind `<tool_call>`, and whether the grammar has ended with it.
fn called(form: CallForm, text: &str) -> Result<bool, GrammarError> {
    let call = id("<tool_call>");
    let scope = Scope { after: Some(call), unless: None, again: true };
    let mut constraint = MODEL.1.compile(&Grammar::calls(&tools(), form)?, scope).unwrap();
    accept_text(&mut constraint, "Anything at all.\n")?;
    constraint.accept(call)?;
    accept_text(&mut constraint, text)?;
    let free = constraint.mask()?.is_none();
    if free {
        // After the call as before it, and then again a call.
        constraint.accept(id("</tool_call>"))?;
        accept_text(&mut constraint, "\nMore.")?;
        constraint.accept(call)?;
        assert!(constraint.mask()?.is_some() && !constraint.is_finished() && !constraint.can_end()?);
        accept_text(&mut constraint, text)?;
        assert!(constraint.mask()?.is_none() && constraint.can_end()?);
    }
    Ok(free)
}

#[test]
fn calls_in_tags_follow_their_definitions() {
    let of = |arguments: &str| format!("\n<function=get_weather>\n{arguments}</function>\n");
    let city = "<parameter=city>\nTromsø <x> \"\n\n</parameter\n</parameter>\n";
    let days = "<parameter=days>\n3\n</parameter>\n";
    for good in [
        of(&format!("{city}{days}")),
        of(&format!("{city}<parameter=unit>\nF\n</parameter>\n{days}")),
        of(&format!("{city}{days}<parameter=at>\n[69, 18]\n</parameter>\n")),
        "\n<function=stop>\n</function>\n".to_owned(),
    ] {
        assert_eq!(called(CallForm::Tags, &good), Ok(true), "{good}");
        // And is read as what it says.
        let whole = format!("<tool_call>{good}</tool_call>");
        assert_eq!(Answer::parse(&whole, false, &tools()).calls.len(), 1, "{good}");
    }
    assert_eq!(called(CallForm::Tags, &of(city)[..of(city).len() - 12]), Ok(false));
    for bad in [
        "\n<function=get_time>".to_owned(),
        "get_weather".to_owned(),
        "\n{\"name\": ".to_owned(),
        of(city),
        of(&format!("{days}{city}")),
        of(&format!("{city}<parameter=unit>\nK\n</parameter>\n")),
        of(&format!("{city}<parameter=days>\n15\n</parameter>\n")),
        of(&format!("{city}<parameter=days>\nthree\n</parameter>\n")),
        of(&format!("{city}{days}<parameter=at>\n[69]\n</parameter>\n")),
        "\n<function=stop>\n<parameter=".to_owned(),
    ] {
        let found = called(CallForm::Tags, &bad);
        assert!(matches!(found, Err(GrammarError::Token { .. })), "{bad}: {found:?}");
    }
}

#[test]
fn calls_in_json_follow_their_definitions() {
    let of = |arguments: &str| format!("\n{{\"name\": \"get_weather\", \"arguments\": {{{arguments}}}}}\n");
    for good in [
        of(r#""city": "Tromsø", "days": 3"#),
        of(r#""city": "<x>", "unit": "C", "days": 14, "at": [1, 2]"#),
        "\n{\"name\": \"stop\", \"arguments\": {}}\n".to_owned(),
    ] {
        assert_eq!(called(CallForm::Json, &good), Ok(true), "{good}");
        let whole = format!("<tool_call>{good}</tool_call>");
        assert_eq!(Answer::parse(&whole, false, &tools()).calls.len(), 1, "{good}");
    }
    for bad in [
        of(r#""days": 3"#),
        of(r#""city": "a", "unit": "K""#),
        of(r#""city": "a", "days": 0"#),
        of(r#""city": "a", "days": 3, "at": [1]"#),
        "\n{\"name\": \"sing\"".to_owned(),
        "\n<function=stop>".to_owned(),
    ] {
        assert!(matches!(called(CallForm::Json, &bad), Err(GrammarError::Token { .. })), "{bad}");
    }
}

#[test]
fn tools_that_can_not_be_called() {
    for form in [CallForm::Tags, CallForm::Json] {
        assert!(matches!(Grammar::calls(&[], form), Err(GrammarError::Tool { .. })));
        for name in [json!(null), json!(""), json!("a b"), json!("a>"), json!("a\n"), json!(3)] {
            let error = Grammar::calls(&[json!({ "name": name })], form).unwrap_err();
            assert!(matches!(error, GrammarError::Tool { .. }), "{name}");
        }
        // References to nowhere, and schemas of any shape, are no reason to refuse a tool: what can't be held to them is free.
        let nested = (0..100).fold(json!({}), |inner, _| json!({ "items": inner }));
        for schema in
            [json!({ "$ref": "#/properties/b" }), json!({ "$ref": "file:///etc" }), json!(3), nested]
        {
            let tool =
                json!({ "name": "f", "parameters": { "type": "object", "properties": { "a": schema } } });
            let grammar = Grammar::calls(std::slice::from_ref(&tool), form);
            if form == CallForm::Json && tool["parameters"]["properties"]["a"] == 3 {
                assert!(compile(&grammar.unwrap()).is_err());
                continue;
            }
            assert!(compile(&grammar.unwrap()).is_ok(), "{tool}");
        }
    }
    let tool = json!({ "name": "f", "parameters": { "properties": { "a>": {} } } });
    assert!(matches!(Grammar::calls(&[tool], CallForm::Tags), Err(GrammarError::Tool { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_called_under_the_grammar_can_be_read(seed in any::<u64>(), tags in any::<bool>()) {
        let form = if tags { CallForm::Tags } else { CallForm::Json };
        // Random models say long strings for ever, so there are none.
        let mut tool = tools()[0].clone();
        // And long numbers.
        tool["function"]["parameters"]["properties"]["city"] = json!({ "enum": ["Oslo", "東京"] });
        tool["function"]["parameters"]["$defs"]["place"] = json!({ "type": "boolean" });
        // Nor what a tool without a definition may be given, which is anything.
        let nothing = json!({ "type": "object", "properties": {}, "additionalProperties": false });
        let all = [tool, json!({ "name": "stop", "parameters": nothing })];
        let mut constraint = compile(&Grammar::calls(&all, form).unwrap()).unwrap();
        let (tokens, finished) = write(&mut constraint, seed, 0.0, 2000);
        prop_assert!(finished, "{}", text(&tokens));
        let answer = Answer::parse(&format!("<tool_call>{}</tool_call>", text(&tokens)), false, &all);
        let call = &answer.calls[0].function;
        prop_assert!(call.name == "stop" || (1..=14).contains(&call.arguments["days"].as_i64().unwrap()));
        prop_assert!(call.name == "stop" || ["Oslo", "東京"].contains(&call.arguments["city"].as_str().unwrap()));
    }
}
