//! A preflight as text, as a document for machines and as JUnit XML.

use std::fmt::Write as _;

use quick_junit::{Property, Report as Junit, SerializeError, TestSuite};
use schemars::{JsonSchema, schema_for};
use serde::Serialize;
use serde_json::Value;

use super::document::{CountsObject, FindingObject, NotTested, WaiverObject, milliseconds, pretty};
use super::junit::{case, clean, left_out};
use super::style::{Style, Tone};
use super::text::{counted, spoken, wrapped};
use super::verdict::{details, ended, reasons, status_word, tone};
use crate::checks::Counts;
use crate::checks::preflight::{Check, Outcome, Report, Side};
use crate::events::{Finding, Status};

/// The version of the document; it grows when a reader of the old one would misunderstand.
const VERSION: u32 = 1;
/// How wide the column of names is: as wide as the longest.
const NAME: usize = 20;

/// What `refarch preflight --json FILE` writes.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Preflight")]
struct Document<'a> {
    /// The version of this format.
    version: u32,
    /// What all findings together say.
    outcome: OutcomeWord,
    /// The deployment's name.
    deployment: &'a str,
    /// Where people will find it.
    url: &'a str,
    /// Its architecture.
    architecture: &'a str,
    /// Who makes its nodes.
    provider: &'a str,
    /// How many nodes it has.
    nodes: usize,
    /// The version of refarch that asked.
    refarch: &'static str,
    /// When it began, as RFC 3339.
    started: String,
    /// How long it took, in milliseconds.
    duration_ms: u64,
    /// How many checks ended how.
    counts: CountsObject,
    /// The checks that the user left out; each stands among the findings too.
    waived: Vec<WaiverObject<'a>>,
    /// The checks that could not look, and why; each stands among the findings too.
    not_tested: Vec<NotTested<'a>>,
    /// Every check's answer.
    findings: Vec<FindingObject<'a>>,
}

/// What all findings together say.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Outcome")]
enum OutcomeWord {
    /// Nothing that was asked stands in the way.
    Pass,
    /// Something does.
    Fail,
}

/// The preflight as a JSON document, indented, with a line feed at its end.
#[must_use]
pub fn preflight_json(report: &Report) -> String {
    pretty(&Document::from(report))
}

/// The JSON Schema of what [`preflight_json`] makes.
#[must_use]
pub fn preflight_schema() -> Value {
    let mut schema = schema_for!(Document<'_>);
    schema.insert("title".into(), "Report of refarch preflight".into());
    schema.into()
}

impl<'a> From<&'a Report> for Document<'a> {
    fn from(report: &'a Report) -> Self {
        let skipped = report.findings.iter().filter(|finding| finding.status == Status::Skip);
        Self {
            version: VERSION,
            outcome: match report.outcome() {
                Outcome::Pass => OutcomeWord::Pass,
                Outcome::Fail => OutcomeWord::Fail,
            },
            deployment: &report.deployment,
            url: &report.url,
            architecture: &report.architecture,
            provider: &report.provider,
            nodes: report.nodes,
            refarch: env!("CARGO_PKG_VERSION"),
            started: report.started.to_string(),
            duration_ms: milliseconds(report.duration),
            counts: Counts::of(&report.findings).into(),
            waived: report.waived.iter().map(WaiverObject::from).collect(),
            not_tested: skipped.map(NotTested::from).collect(),
            findings: report.findings.iter().map(FindingObject::from).collect(),
        }
    }
}

/// The preflight as JUnit XML: one suite for each side that is asked, one case a check and node.
///
/// # Errors
/// Only where the writer of XML is at fault: the text is cleaned of what XML can't hold.
pub fn preflight_junit(report: &Report) -> Result<String, SerializeError> {
    let mut junit = Junit::new(clean(&format!("refarch preflight {}", report.deployment)));
    junit.set_time(report.duration);
    for side in Side::ALL {
        let of_side: Vec<_> =
            report.findings.iter().filter(|finding| side_of(finding) == Some(side)).collect();
        if of_side.is_empty() {
            continue;
        }
        let mut suite = TestSuite::new(side.name());
        let group = format!("refarch.preflight.{}", side.name());
        suite.add_test_cases(of_side.iter().map(|finding| case(&group, finding)));
        suite.add_properties(properties(report));
        suite.set_time(of_side.iter().map(|finding| finding.duration).sum());
        junit.add_test_suite(suite);
    }
    junit.to_string()
}

fn properties(report: &Report) -> Vec<Property> {
    let nodes = report.nodes.to_string();
    let started = report.started.to_string();
    let mut properties = vec![
        Property::new("refarch", env!("CARGO_PKG_VERSION")),
        Property::new("deployment", clean(&report.deployment)),
        Property::new("url", clean(&report.url)),
        Property::new("architecture", clean(&report.architecture)),
        Property::new("provider", clean(&report.provider)),
        Property::new("nodes", nodes.as_str()),
        Property::new("started", started.as_str()),
    ];
    properties.extend(left_out(&report.waived));
    properties
}

fn side_of(finding: &Finding) -> Option<Side> {
    finding.check.parse().ok().map(Check::side)
}

/// The preflight as text that fits 80 columns: a table of all checks, and below it what has to be done.
#[must_use]
pub fn preflight_text(report: &Report, style: Style) -> String {
    let to_do: Vec<&Finding> = [Status::Fail, Status::Warn]
        .into_iter()
        .flat_map(|status| report.findings.iter().filter(move |finding| finding.status == status))
        .collect();
    let skipped: Vec<&Finding> =
        report.findings.iter().filter(|finding| finding.status == Status::Skip).collect();
    let mut text = headline(report, style) + &table(report, style);
    let (to_do, skipped) = (alike(&to_do), alike(&skipped));
    if !skipped.is_empty() {
        let skipped: Vec<&Finding> = skipped.iter().collect();
        let _ = write!(text, "\n{}\n{}", style.paint(Tone::Strong, "Not tested"), reasons(&skipped));
    }
    text + &details(&to_do.iter().collect::<Vec<_>>(), style)
}

/// What several nodes say alike, once.
fn alike(findings: &[&Finding]) -> Vec<Finding> {
    let mut groups: Vec<(&Finding, usize)> = Vec::new();
    let key = |finding: &Finding| (finding.check.clone(), finding.status, finding.saw.clone());
    for finding in findings {
        match groups.iter_mut().find(|(first, _)| key(first) == key(finding)) {
            Some((_, count)) => *count += 1,
            None => groups.push((finding, 1)),
        }
    }
    let named = |(first, count): (&Finding, usize)| match count {
        1 => first.clone(),
        _ => Finding { node: Some(counted(count, "node")), ..first.clone() },
    };
    groups.into_iter().map(named).collect()
}

fn headline(report: &Report, style: Style) -> String {
    let (word, tone, means) = match report.outcome() {
        Outcome::Pass => ("PASS", Tone::Good, "nothing that was asked stands in the way"),
        Outcome::Fail => ("FAIL", Tone::Bad, "not all is ready"),
    };
    let mut text = format!("{}  {}\n", style.paint(tone, word), report.url);
    let Counts { pass, warn, fail, skip } = Counts::of(&report.findings);
    let line = format!(
        "{means}; of {} of `{}`, a {} of {} on {}: {}, in {}",
        counted(report.findings.len(), "check"),
        report.deployment,
        report.architecture,
        counted(report.nodes, "node"),
        report.provider,
        ended([pass, warn, fail, skip]),
        spoken(report.duration),
    );
    text.push_str(&wrapped("", &line));
    for waiver in &report.waived {
        text.push_str(&wrapped("", &format!("left out: {}, because {}", waiver.check, waiver.because)));
    }
    text
}

/// One row a check, or more where nodes answered otherwise than others.
fn table(report: &Report, style: Style) -> String {
    let mut text = String::new();
    let mut side = None;
    for check in Check::ALL {
        let of_check: Vec<&Finding> =
            report.findings.iter().filter(|finding| finding.check == check.name()).collect();
        if of_check.is_empty() {
            continue;
        }
        if side != Some(check.side()) {
            side = Some(check.side());
            let _ = write!(text, "\n{}\n", style.paint(Tone::Strong, check.side().title()));
        }
        for row in rows(&of_check) {
            let word = style.paint(tone(row.status), status_word(row.status));
            let first = format!("  {word}  {:NAME$} ", check.name());
            text.push_str(&super::text::folded(&first, &super::text::printable(&row.words)));
        }
    }
    text
}

struct Row {
    status: Status,
    words: String,
}

/// What nodes say alike stands in one row; what fails has a row for every node.
fn rows(findings: &[&Finding]) -> Vec<Row> {
    let mut rows = Vec::new();
    for status in [Status::Fail, Status::Warn, Status::Skip, Status::Pass] {
        let of: Vec<&&Finding> = findings.iter().filter(|finding| finding.status == status).collect();
        if status == Status::Fail {
            rows.extend(of.iter().map(|finding| Row { status, words: with_node(finding) }));
            continue;
        }
        let mut alike: Vec<(&str, Vec<&&Finding>)> = Vec::new();
        for finding in of {
            match alike.iter_mut().find(|(saw, _)| *saw == finding.saw) {
                Some((_, group)) => group.push(finding),
                None => alike.push((&finding.saw, vec![finding])),
            }
        }
        // That all is well is one row, however differently the nodes say it.
        if status == Status::Pass && alike.len() > 1 {
            let count: usize = alike.iter().map(|(_, group)| group.len()).sum();
            rows.push(Row { status, words: counted(count, "node") });
            continue;
        }
        rows.extend(alike.iter().map(|(saw, group)| match group.as_slice() {
            [one] => Row { status, words: with_node(one) },
            group => Row { status, words: format!("{}: {saw}", counted(group.len(), "node")) },
        }));
    }
    rows
}

fn with_node(finding: &Finding) -> String {
    match &finding.node {
        Some(node) => format!("{node}: {}", finding.saw),
        None => finding.saw.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::tests::assert_committed;
    use super::*;
    use crate::checks::preflight::Waiver;
    use crate::checks::{Miss, Question};

    fn finding(check: Check, node: Option<&str>, answer: Result<&str, Miss>) -> Finding {
        let question = Question::new(check, format!("what is asked for `{check}`"), "what is wanted");
        let question = if let Some(node) = node { question.on(node) } else { question };
        question.answer(answer.map(ToOwned::to_owned))
    }

    fn report() -> Report {
        let waived = vec![Waiver { check: Check::Dns, because: "the record comes on Monday".into() }];
        let mut report = Report {
            deployment: "acme".into(),
            url: "https://gitlab.acme.example".into(),
            architecture: "3k".into(),
            provider: "lab".into(),
            nodes: 29,
            waived,
            started: jiff::Timestamp::UNIX_EPOCH,
            duration: std::time::Duration::from_millis(2345),
            findings: Vec::new(),
        };
        report.take_in([
            finding(Check::Spec, None, Ok("GitLab 18.11.2 as a 3k of 29 nodes, on lab")),
            finding(Check::Terraform, None, Err(Miss::fail("find `terraform`: it is nowhere", "install it"))),
            finding(Check::Room, None, Err(Miss::skip("nobody tells", "look by hand"))),
            finding(Check::Package, None, Err(Miss::warn("an odd one", "look at it"))),
        ]);
        report.tell_waivers();
        for finding in &mut report.findings {
            finding.duration = std::time::Duration::ZERO;
        }
        report
    }

    #[test]
    fn a_preflight_as_text() {
        let text = preflight_text(&report(), Style::plain());
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_preflight_as_a_document() {
        insta::with_settings!({filters => vec![(env!("CARGO_PKG_VERSION"), "[version]")]}, {
            insta::assert_snapshot!(preflight_json(&report()));
        });
    }

    #[test]
    fn a_preflight_as_junit() {
        let junit = preflight_junit(&report()).unwrap();
        insta::with_settings!({filters => vec![(env!("CARGO_PKG_VERSION"), "[version]"), ("uuid=\"[^\"]*\"", "")]}, {
            insta::assert_snapshot!(junit);
        });
    }

    #[test]
    fn nodes_that_say_the_same_share_a_row_and_each_failure_has_its_own() {
        let name = |nth| format!("acme-rails-{nth}");
        let of = |answer: Result<&str, Miss>| -> Vec<Finding> {
            (1..4).map(|nth| finding(Check::Room, Some(&name(nth)), answer.clone())).collect()
        };
        let rows = |findings: &[Finding]| -> Vec<String> {
            rows(&findings.iter().collect::<Vec<_>>()).into_iter().map(|row| row.words).collect()
        };
        assert_eq!(rows(&of(Err(Miss::warn("swap", "off")))), ["3 nodes: swap"]);
        assert_eq!(rows(&of(Err(Miss::fail("down", "up")))).len(), 3);
        let mixed = [of(Ok("1 GB")), of(Ok("2 GB"))].concat();
        assert_eq!(rows(&mixed), ["6 nodes"]);
        let told = alike(&of(Err(Miss::warn("swap", "off"))).iter().collect::<Vec<_>>());
        assert_eq!(told.iter().map(|it| it.node.as_deref()).collect::<Vec<_>>(), [Some("3 nodes")]);
    }

    #[test]
    fn the_committed_schema_is_current() {
        assert_committed("preflight", &preflight_schema());
    }

    #[test]
    fn the_longest_name_fits_its_column() {
        assert!(Check::ALL.iter().all(|check| check.name().len() <= NAME));
    }
}
