//! Noise in place of a spec: there may be anything in a file, and the answer is a report.

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use proptest::prelude::*;
use refarch::spec;

const EXAMPLE: &str = include_str!("../../examples/lab-1k.yml");

/// Parses and renders; both must come to an end, and a refusal must name a problem in the file.
fn answers(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Err(invalid) = spec::parse_bytes(bytes, "noise.yml") else { return Ok(()) };
    prop_assert!(invalid.problems().iter().any(|problem| !problem.rule().warns), "refused without a problem");
    for problem in invalid.problems() {
        prop_assert!(!problem.to_string().is_empty() && !problem.advice().is_empty());
        for (place, _) in problem.places() {
            prop_assert!(
                place.start <= place.end && place.end <= bytes.len(),
                "{place:?} is outside of the file"
            );
        }
    }
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100);
    let rendered = handler.render_report(&mut text, &invalid as &dyn Diagnostic);
    prop_assert!(rendered.is_ok());
    prop_assert!(
        !text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'),
        "{text:?} drives the terminal"
    );
    Ok(())
}

/// Pieces that mean something in YAML or in a spec.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("refarch: 1\n"),
        Just("name: "),
        Just("gitlab:\n"),
        Just("  version: "),
        Just("18.10"),
        Just("\"18.11.2\"\n"),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(", "),
        Just(": "),
        Just("- "),
        Just("? "),
        Just("\n"),
        Just("\r\n"),
        Just("\t"),
        Just("  "),
        Just("&a "),
        Just("*a"),
        Just("<<: *a\n"),
        Just("!!str "),
        Just("!x "),
        Just("|\n"),
        Just(">-\n"),
        Just("'"),
        Just("\""),
        Just("#"),
        Just("---\n"),
        Just("...\n"),
        Just("%YAML 1.2\n"),
        Just("\u{feff}"),
        Just("é"),
        Just("\u{1F980}"),
        Just("\0"),
        Just("\u{1b}[2J"),
        Just("\u{85}"),
        Just("\u{2028}"),
        Just("null"),
        Just("~"),
        Just(".nan"),
        Just("1e999"),
        Just("provider: {lab: {}}\n"),
        Just("https://a:b@c/"),
        Just("glpat-aaaaaaaaaaaaaaaaaaaaaa"),
        Just("-----BEGIN PRIVATE KEY-----"),
        Just("password: "),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        answers(&bytes)?;
    }

    #[test]
    fn characters_are_answered(text in "\\PC{0,200}") {
        answers(text.as_bytes())?;
    }

    #[test]
    fn pieces_of_yaml_are_answered(text in pieces()) {
        answers(text.as_bytes())?;
    }

    #[test]
    fn a_spec_with_pieces_in_it_is_answered(at in 0..EXAMPLE.len(), until in 0..30_usize, text in pieces()) {
        let until = (at + until).min(EXAMPLE.len());
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        bytes.splice(at..until, text.bytes());
        answers(&bytes)?;
    }

    #[test]
    fn a_spec_with_a_byte_changed_is_answered(at in 0..EXAMPLE.len(), byte in any::<u8>()) {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        bytes[at] = byte;
        answers(&bytes)?;
    }
}
