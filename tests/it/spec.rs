//! Specs, good and bad, as users write them.

use std::collections::BTreeSet;
use std::path::Path;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use refarch::spec;

/// A report as a user sees it in a pipe that is 100 columns wide.
fn report(diagnostic: &dyn Diagnostic) -> String {
    let mut text = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .with_links(false)
        .render_report(&mut text, diagnostic)
        .expect("a report renders");
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n"
}

/// What parsing says: the problems, or the warnings.
fn said(bytes: &[u8], name: &str) -> (String, BTreeSet<&'static str>) {
    match spec::parse_bytes(bytes, name) {
        Ok(parsed) => {
            let rules = parsed.warnings.iter().map(|warning| warning.rule().id).collect();
            (parsed.warnings.iter().map(|warning| report(warning)).collect(), rules)
        }
        Err(invalid) => {
            (report(&invalid), invalid.problems().iter().map(|problem| problem.rule().id).collect())
        }
    }
}

/// Bad specs that are too big to lie in a folder.
fn generated() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("too-large", b"# filler\n".repeat(1_200_000)),
        ("too-large--values", [b"refarch: 1\nname:\n".as_slice(), &b"- x\n".repeat(20_001)].concat()),
        ("long-line", [b"refarch: 1\nname: ".as_slice(), &b"x".repeat(5_000)].concat()),
        ("unknown-key--many", (0..200).flat_map(|n| format!("key{n}: 1\n").into_bytes()).collect()),
    ]
}

fn is_reported_as_it_was(bytes: &[u8], stem: &str) {
    let (report, rules) = said(bytes, &format!("{stem}.yml"));
    let rule = stem.split("--").next().unwrap_or_default();
    assert!(rules.contains(rule), "{stem} breaks {rules:?} and not `{rule}`:\n{report}");
    insta::assert_snapshot!(stem, report);
}

#[test]
fn every_bad_spec_is_reported_as_it_was() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../specs/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (stem, bytes) in
            committed().into_iter().chain(generated().into_iter().map(|(s, b)| (s.to_owned(), b)))
        {
            is_reported_as_it_was(&bytes, &stem);
        }
    });
}

/// The bad specs of `tests/specs`, by name: the rule that it breaks, and a variant behind two dashes.
fn committed() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specs");
    let mut specs: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .expect("bad specs")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .map(|path| {
            let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (stem, std::fs::read(&path).expect("a readable spec"))
        })
        .collect();
    specs.sort();
    specs
}

#[test]
fn every_rule_has_a_bad_spec() {
    let named: BTreeSet<String> = committed()
        .into_iter()
        .map(|(stem, _)| stem)
        .chain(generated().into_iter().map(|(stem, _)| stem.to_owned()))
        .collect();
    for rule in spec::rules() {
        assert!(named.contains(rule.id), "no bad spec for `{}`", rule.id);
    }
}

#[test]
fn every_example_is_valid_and_short() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for entry in std::fs::read_dir(folder).expect("examples") {
        let path = entry.expect("an entry").path();
        // `make demo` puts its work directory beside its spec.
        if path.extension().is_none_or(|extension| extension != "yml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("text");
        let parsed =
            spec::parse(&text, &path.display().to_string()).unwrap_or_else(|e| panic!("{}", report(&e)));
        assert!(parsed.warnings.is_empty(), "{}", path.display());
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#')).count();
        let most = if text.contains("\nsettings:") { 30 } else { 15 };
        assert!(lines <= most, "{} has {lines} lines", path.display());
    }
}

#[test]
fn the_committed_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/spec.schema.json");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, spec::schema_text()).expect("the schema can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == spec::schema_text(), "run `refarch schema > docs/spec.schema.json`");
}
