use super::*;
use crate::assemble::{DecodedToken, Timing, assemble};
use crate::segment::SegmentRules;
use crate::spans::SpanRule;
use crate::transcript::TranscriptInfo;
use crate::vocab::Vocabulary;

/// "Hello world. Né <b> & "quote"?" as a TDT model would emit it.
fn transcript() -> Transcript {
    let pieces = [
        "\u{2581}Hello",
        "\u{2581}world",
        ".",
        "\u{2581}N",
        "\u{e9}",
        "\u{2581}<b",
        ">",
        "\u{2581}&",
        "\u{2581}\"",
        "quote",
        "\"",
        "?",
    ];
    let vocabulary = Vocabulary::new(pieces.iter().map(|&piece| piece.to_owned()).collect());
    let raw: [(u32, u32, u32, f32); 12] = [
        (0, 4, 3, 0.98),
        (1, 8, 4, 0.912_34),
        (2, 14, 2, 1.0),
        (3, 40, 1, 0.5),
        (4, 41, 2, 0.75),
        (5, 44, 2, 0.9),
        (6, 46, 1, 0.9),
        (7, 50, 2, 0.8),
        (8, 53, 1, 0.7),
        (9, 54, 3, 0.6),
        (10, 57, 1, 0.9),
        (11, 58, 0, 0.95),
    ];
    let tokens = raw.map(|(id, frame, duration_frames, confidence)| DecodedToken {
        id,
        frame,
        duration_frames,
        confidence,
    });
    let timing = Timing { frame_seconds: 0.08, offset_seconds: 0.0, span: SpanRule::Emitted };
    Transcript::build(
        assemble(&tokens, &vocabulary, timing).unwrap(),
        &SegmentRules::for_vocabulary(&vocabulary),
        TranscriptInfo {
            duration: 5.125,
            language: Some("en".into()),
            frame_seconds: 0.08,
            model: "test".into(),
        },
    )
}

#[test]
fn txt() {
    assert_eq!(render(&transcript(), Format::Txt), "Hello world. Né <b> & \"quote\"?\n");
}

#[test]
fn srt() {
    assert_eq!(
        render(&transcript(), Format::Srt),
        "1\n00:00:00,320 --> 00:00:01,320\nHello world.\n\n\
         2\n00:00:03,200 --> 00:00:04,560\nNé <b> & \"quote\"?\n\n"
    );
}

#[test]
fn vtt() {
    assert_eq!(
        render(&transcript(), Format::Vtt),
        "WEBVTT\n\n00:00:00.320 --> 00:00:01.320\nHello world.\n\n\
         00:00:03.200 --> 00:00:04.560\nNé &lt;b&gt; &amp; \"quote\"?\n\n"
    );
}

#[test]
fn lrc() {
    assert_eq!(render(&transcript(), Format::Lrc), "[00:00.32]Hello world.\n[00:03.20]Né <b> & \"quote\"?\n");
}

#[test]
fn tsv() {
    assert_eq!(
        render(&transcript(), Format::Tsv),
        "start\tend\ttext\n320\t960\tHello world.\n3200\t4560\tNé <b> & \"quote\"?\n"
    );
}

#[test]
fn csv() {
    assert_eq!(
        render(&transcript(), Format::Csv),
        "start,end,text\n320,960,\"Hello world.\"\n3200,4560,\"Né <b> & \"\"quote\"\"?\"\n"
    );
}

#[test]
fn json_is_parakeet_cpps_byte_for_byte() {
    let mut t = transcript();
    t.words.truncate(2);
    t.tokens.truncate(3);
    t.text = "tab\tquote\" back\\ bell\u{7} né".into();
    assert_eq!(
        render(&t, Format::Json),
        "{\"text\":\"tab\\tquote\\\" back\\\\ bell\\u0007 né\",\"frame_sec\":0.080000,\"words\":[\
         {\"w\":\"Hello\",\"start\":0.320,\"end\":0.560,\"conf\":0.9800},\
         {\"w\":\"world.\",\"start\":0.640,\"end\":0.960,\"conf\":0.9123}],\"tokens\":[\
         {\"id\":0,\"t\":0.320,\"conf\":0.9800},{\"id\":1,\"t\":0.640,\"conf\":0.9123},\
         {\"id\":2,\"t\":1.120,\"conf\":1.0000}]}\n"
    );
}

#[test]
fn verbose_json_fills_every_field() {
    let body = render(&transcript(), Format::VerboseJson);
    let value: serde_json::Value = serde_json::from_str(&body).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&value), ["task", "language", "duration", "text", "words", "segments", "usage"]);
    assert_eq!(value["task"], "transcribe");
    assert_eq!(value["language"], "en");
    assert_eq!(value["duration"], 5.125);
    assert_eq!(value["usage"], serde_json::json!({"type": "duration", "seconds": 6}));
    assert_eq!(value["words"][1], serde_json::json!({"word": "world.", "start": 0.64, "end": 0.96}));
    let second = &value["segments"][1];
    assert_eq!(
        keys(second),
        [
            "id",
            "seek",
            "start",
            "end",
            "text",
            "tokens",
            "temperature",
            "avg_logprob",
            "compression_ratio",
            "no_speech_prob"
        ]
    );
    assert_eq!(second["id"], 1);
    assert_eq!(second["seek"], 320);
    assert_eq!(second["start"], 3.2);
    assert_eq!(second["tokens"], serde_json::json!([3, 4, 5, 6, 7, 8, 9, 10, 11]));
    assert_eq!(second["temperature"], 0.0);
    assert_eq!(second["no_speech_prob"], 0.0);
    let logs: f64 =
        [0.5f64, 0.75, 0.9, 0.9, 0.8, 0.7, 0.6, 0.9, 0.95].iter().map(|c| c.ln()).sum::<f64>() / 9.0;
    assert!((second["avg_logprob"].as_f64().unwrap() - logs).abs() < 1e-5);
}

#[test]
fn a_looping_decoder_compresses_well() {
    let mut t = transcript();
    t.segments[1].text = "so it is and ".repeat(40);
    let value: serde_json::Value = serde_json::from_str(&render(&t, Format::VerboseJson)).unwrap();
    let ratio = |index: usize| value["segments"][index]["compression_ratio"].as_f64().unwrap();
    // Python: len("Hello world.") / len(zlib.compress(b"Hello world.")) = 12 / 20.
    assert!((ratio(0) - 0.6).abs() < 1e-9, "{}", ratio(0));
    assert!(ratio(1) > 10.0, "{}", ratio(1));
}

#[test]
fn silence_is_a_valid_file_in_every_format() {
    let empty = Transcript { duration: 2.5, frame_seconds: 0.08, ..Transcript::default() };
    let body = |format| render(&empty, format);
    assert_eq!(body(Format::Txt), "");
    assert_eq!(body(Format::Srt), "");
    assert_eq!(body(Format::Vtt), "WEBVTT\n\n");
    assert_eq!(body(Format::Lrc), "");
    assert_eq!(body(Format::Tsv), "start\tend\ttext\n");
    assert_eq!(body(Format::Csv), "start,end,text\n");
    assert_eq!(body(Format::Json), "{\"text\":\"\",\"frame_sec\":0.080000,\"words\":[],\"tokens\":[]}\n");
    assert_eq!(
        body(Format::VerboseJson),
        "{\"task\":\"transcribe\",\"language\":\"und\",\"duration\":2.5,\"text\":\"\",\"words\":[],\"segments\":[],\
         \"usage\":{\"type\":\"duration\",\"seconds\":3}}\n"
    );
}

#[test]
fn times_that_are_no_numbers_stay_out_of_json() {
    let mut t = transcript();
    t.duration = f64::NAN;
    t.words[0].start = f64::NAN;
    t.words[0].end = f64::INFINITY;
    t.tokens[0].confidence = f32::NAN;
    t.segments[0].start = f64::NEG_INFINITY;
    for format in Format::ALL {
        let body = render(&t, format);
        if matches!(format, Format::Json | Format::VerboseJson) {
            let value: Result<serde_json::Value, _> = serde_json::from_str(&body);
            assert!(value.is_ok_and(|value| value["text"] == t.text), "{format}: {body}");
        }
    }
}

#[test]
fn names_are_found_and_unknown_ones_explained() {
    for format in Format::ALL {
        assert_eq!(format.name().parse::<Format>().unwrap(), format);
    }
    for (alias, format) in
        [("TEXT", Format::Txt), ("WebVTT", Format::Vtt), ("verbose-json", Format::VerboseJson)]
    {
        assert_eq!(alias.parse::<Format>().unwrap(), format);
    }
    let error = "docx".parse::<Format>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown output format \"docx\"; the formats are txt, srt, vtt, json, verbose_json, tsv, csv, lrc"
    );
    let mut extensions = Format::ALL.map(Format::extension).to_vec();
    extensions.dedup();
    assert_eq!(extensions.len(), Format::ALL.len());
}
