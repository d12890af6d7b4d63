//! The verdict as JUnit XML, which pipelines show beside their tests.
//!
//! One suite a level, one case a check and node. A level of which no check passed is a failed case of its own:
//! a file without a failure would say that all is well.

use std::fmt::Write as _;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::verdict::{STANDIN, by_level, name};
use crate::checks::preflight::Waiver;
use crate::checks::{Check, Level, Verdict};
use crate::events::{Finding, Status};

/// The verdict as JUnit XML.
///
/// # Errors
/// Only where the writer of XML is at fault: the text is cleaned of what XML can't hold.
pub fn verdict_junit(verdict: &Verdict) -> Result<String, SerializeError> {
    let mut report = Report::new(clean(&format!("refarch verify {}", verdict.url)));
    report.set_time(verdict.duration);
    for (level, findings) in by_level(verdict) {
        report.add_test_suite(suite(verdict, level, &findings));
    }
    report.to_string()
}

fn suite(verdict: &Verdict, level: Level, findings: &[&Finding]) -> TestSuite {
    let mut suite = TestSuite::new(level.name());
    let group = format!("refarch.{level}");
    suite.add_test_cases(findings.iter().map(|finding| case(&group, finding)));
    if verdict.unproven().contains(&level) {
        suite.add_test_case(unproven(&group, level));
    }
    suite.add_properties(properties(verdict));
    suite.set_time(findings.iter().map(|finding| finding.duration).sum::<Duration>());
    suite
}

fn properties(verdict: &Verdict) -> Vec<Property> {
    let seen =
        verdict.findings.iter().any(|it| it.check == Check::SignIn.name() && it.status == Status::Pass);
    let is = match (verdict.standin, seen) {
        (true, _) => STANDIN,
        (false, true) => "GitLab",
        (false, false) => "not seen",
    };
    let started = verdict.started.to_string();
    let mut properties = vec![
        Property::new("refarch", env!("CARGO_PKG_VERSION")),
        Property::new("url", clean(&verdict.url)),
        Property::new("level", verdict.level.name()),
        Property::new("instance", is),
        Property::new("started", started.as_str()),
    ];
    properties.extend(verdict.deployment.as_ref().map(|name| Property::new("deployment", clean(name))));
    properties.extend(verdict.only.as_ref().map(|only| {
        let only: Vec<_> = only.iter().map(|check| check.name()).collect();
        Property::new("only", only.join(","))
    }));
    properties.extend(left_out(&verdict.waived));
    properties
}

/// What the user left out of preflight, and why.
pub(super) fn left_out(waived: &[Waiver]) -> impl Iterator<Item = Property> {
    waived.iter().map(|waiver| {
        let name = format!("skip.{}", waiver.check);
        Property::new(name.as_str(), clean(&waiver.because))
    })
}

pub(super) fn case(group: &str, finding: &Finding) -> TestCase {
    let mut status = match finding.status {
        Status::Pass | Status::Warn => TestCaseStatus::success(),
        Status::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Status::Skip => TestCaseStatus::skipped(),
    };
    if matches!(finding.status, Status::Fail | Status::Skip) {
        status.set_message(clean(&finding.saw));
        status.set_type(clean(&finding.check));
        status.set_description(clean(&evidence(finding)));
    }
    let mut case = TestCase::new(clean(&name(finding)), status);
    case.set_classname(group);
    case.set_time(finding.duration);
    if finding.status == Status::Warn {
        case.set_system_out(clean(&format!("warning: {}\n{}", finding.saw, evidence(finding))));
    }
    case
}

fn unproven(group: &str, level: Level) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(format!("nothing is proven at level {level}: no check of it passed"));
    status.set_type("unproven");
    let mut case = TestCase::new("a check of this level passes", status);
    case.set_classname(group);
    case.set_time(Duration::ZERO);
    case
}

fn evidence(finding: &Finding) -> String {
    let mut text = String::new();
    let mut row = |label: &str, value: &str| {
        let _ = writeln!(text, "{label:7} {value}");
    };
    row("asked", &finding.asked);
    row("saw", &finding.saw);
    row("wanted", &finding.wanted);
    row("why", &finding.why);
    if let Some(remedy) = &finding.remedy {
        row("remedy", remedy);
    }
    text
}

/// The text without the two noncharacters that XML can't hold; control characters are removed by the writer.
/// Source: XML 1.0, section 2.2, `Char`.
pub(super) fn clean(text: &str) -> String {
    text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::super::verdict::tests::{example, finding};
    use super::*;

    fn read_back(text: &str) -> Report {
        Report::deserialize_from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn a_verdict_as_junit() {
        insta::with_settings!({filters => vec![(env!("CARGO_PKG_VERSION"), "[version]")]}, {
            insta::assert_snapshot!(verdict_junit(&example()).unwrap());
        });
    }

    #[test]
    fn whatever_an_instance_answers_is_well_formed() {
        let nasty: String =
            (0..0x20_u32).chain([0x7f, 0x85, 0xfffe, 0xffff]).filter_map(char::from_u32).collect();
        let saw = format!("{nasty}]]><![CDATA[<x a=\"&b;'>\u{1b}[31mred\u{1b}[0m ü \u{1f98a}");
        for status in [Status::Pass, Status::Warn, Status::Fail, Status::Skip] {
            let finding = Finding {
                saw: saw.clone(),
                asked: saw.clone(),
                ..finding("readiness", status, Some("a<b&\u{0}"))
            };
            let verdict = Verdict { findings: vec![finding], ..example() };
            let text = verdict_junit(&verdict).unwrap();
            let allowed = |sign: char| matches!(sign, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
            assert!(text.chars().all(allowed), "{text:?}");
            assert_eq!(read_back(&text).test_suites.len(), 2);
        }
    }

    #[test]
    fn each_answer_has_its_word() {
        let report = read_back(&verdict_junit(&example()).unwrap());
        assert_eq!((report.tests, report.failures, report.skipped, report.errors), (5, 1, 1, 0));
        let health = &report.test_suites[1];
        assert_eq!(health.name.as_str(), "health");
        let text = verdict_junit(&example()).unwrap();
        assert!(text.contains(r#"name="instance" value="lab stand-in, not GitLab""#), "{text}");
        assert!(text.contains("warning: no address"), "{text}");
        let instance = |findings: Vec<Finding>| {
            let text = verdict_junit(&Verdict { standin: false, findings, ..example() }).unwrap();
            text.split(r#"name="instance" value=""#).nth(1).unwrap().split('"').next().unwrap().to_owned()
        };
        assert_eq!(instance(vec![finding("sign_in", Status::Pass, None)]), "GitLab");
        assert_eq!(instance(vec![finding("sign_in", Status::Fail, None)]), "not seen");
    }

    #[test]
    fn a_level_that_proves_nothing_is_no_green_pipeline() {
        let findings = vec![finding("tcp", Status::Pass, None), finding("size", Status::Skip, None)];
        let verdict = Verdict { findings, ..example() };
        let report = read_back(&verdict_junit(&verdict).unwrap());
        assert_eq!(report.failures, 1);
        let verdict = Verdict { findings: Vec::new(), ..example() };
        assert_eq!(read_back(&verdict_junit(&verdict).unwrap()).failures, 2);
    }
}
