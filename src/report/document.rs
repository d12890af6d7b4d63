//! The verdict as a document for machines, and the schema of it.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};
use serde::Serialize;
use serde_json::Value;

use super::verdict::by_level;
use crate::checks::preflight::Waiver;
use crate::checks::{Counts, Level, Outcome, Verdict};
use crate::events::{Finding, Status};

/// The version of the document; it grows when a reader of the old one would misunderstand.
const VERSION: u32 = 1;

/// What `refarch verify --json FILE` writes.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Verdict")]
struct Document<'a> {
    /// The version of this format.
    version: u32,
    /// What all findings together say.
    outcome: OutcomeWord,
    /// Whether this is refarch's lab stand-in. It is not GitLab, and what is proven of it is not proven of GitLab.
    standin: bool,
    /// The deployment's name; absent for a GitLab that is known by its URL alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment: Option<&'a str>,
    /// Where people find it.
    url: &'a str,
    /// How deep it was looked.
    level: LevelWord,
    /// The only checks that were asked for; absent where all of the level were.
    #[serde(skip_serializing_if = "Option::is_none")]
    only: Option<Vec<&'static str>>,
    /// What each level up to that one came to.
    levels: Vec<LevelObject>,
    /// The version of refarch that asked.
    refarch: &'static str,
    /// When it began, as RFC 3339.
    started: String,
    /// How long it took, in milliseconds.
    duration_ms: u64,
    /// How many checks ended how.
    counts: CountsObject,
    /// The checks of preflight that this run left out by the user's wish; empty for a verification alone.
    waived: Vec<WaiverObject<'a>>,
    /// The checks that could not look, and why; each stands among the findings too.
    not_tested: Vec<NotTested<'a>>,
    /// Every check's answer.
    findings: Vec<FindingObject<'a>>,
}

/// A check that the user left out.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Waiver")]
pub(super) struct WaiverObject<'a> {
    /// The check's stable name.
    check: &'static str,
    /// Why.
    because: &'a str,
}

impl<'a> From<&'a Waiver> for WaiverObject<'a> {
    fn from(waiver: &'a Waiver) -> Self {
        Self { check: waiver.check.name(), because: &waiver.because }
    }
}

/// What all findings together say.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Outcome")]
enum OutcomeWord {
    /// No check failed, and at every level at least one passed.
    Pass,
    /// A check failed.
    Fail,
    /// No check failed, but of some level not one passed.
    Unproven,
}

/// How deep a verification looks; each level holds the ones before it.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct LevelWord(&'static str);

impl JsonSchema for LevelWord {
    fn schema_name() -> Cow<'static, str> {
        "Level".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How deep a verification looks; each level holds the ones before it.",
            "enum": Level::ALL.map(Level::name),
            "type": "string",
        })
    }
}

/// What one level came to.
#[derive(Debug, Serialize, JsonSchema)]
struct LevelObject {
    /// Which.
    level: LevelWord,
    /// Whether at least one check of it passed.
    proven: bool,
    /// How its checks ended.
    counts: CountsObject,
    /// How long its checks took, one after the other, in milliseconds; many ran at the same time.
    duration_ms: u64,
}

/// How many checks ended how.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Counts")]
pub(super) struct CountsObject {
    pass: usize,
    warn: usize,
    fail: usize,
    skip: usize,
}

/// A check that could not look.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct NotTested<'a> {
    /// The check's stable name.
    check: &'a str,
    /// The node it would have spoken of.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    /// Why it could not look.
    reason: &'a str,
}

/// The answer of one check, with the evidence.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Finding")]
pub(super) struct FindingObject<'a> {
    /// The check's stable name.
    check: &'a str,
    /// The node it speaks of; absent for the deployment as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    /// How it ended.
    status: StatusWord,
    /// What was asked, and of whom.
    asked: &'a str,
    /// What came back; for a skip, why it could not look.
    saw: &'a str,
    /// What should have come back.
    wanted: &'a str,
    /// Why it matters.
    why: &'a str,
    /// What to do about it; absent where nothing has to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'a str>,
    /// How long asking took, in milliseconds.
    duration_ms: u64,
}

/// How a check ended.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Status")]
enum StatusWord {
    /// What was seen is what was wanted.
    Pass,
    /// Something deserves attention, but the deployment works.
    Warn,
    /// What was seen is not what was wanted.
    Fail,
    /// The check could not look; never a pass.
    Skip,
}

/// The verdict as a JSON document, indented, with a line feed at its end.
#[must_use]
pub fn verdict_json(verdict: &Verdict) -> String {
    pretty(&Document::from(verdict))
}

/// The JSON Schema of what [`verdict_json`] makes.
#[must_use]
pub fn verdict_schema() -> Value {
    let mut schema = schema_for!(Document<'_>);
    schema.insert("title".into(), "Verdict of refarch verify".into());
    schema.into()
}

pub(super) fn pretty(value: &impl Serialize) -> String {
    // Strings, numbers and lists of them are all there is, and those can't fail to become JSON.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

impl<'a> From<&'a Verdict> for Document<'a> {
    fn from(verdict: &'a Verdict) -> Self {
        Self {
            version: VERSION,
            outcome: verdict.outcome().into(),
            standin: verdict.standin,
            deployment: verdict.deployment.as_deref(),
            url: &verdict.url,
            level: verdict.level.into(),
            only: verdict.only.as_ref().map(|only| only.iter().map(|check| check.name()).collect()),
            levels: levels(verdict),
            refarch: env!("CARGO_PKG_VERSION"),
            started: verdict.started.to_string(),
            duration_ms: milliseconds(verdict.duration),
            counts: verdict.counts().into(),
            waived: verdict.waived.iter().map(WaiverObject::from).collect(),
            not_tested: verdict.not_tested().map(NotTested::from).collect(),
            findings: verdict.findings.iter().map(FindingObject::from).collect(),
        }
    }
}

impl<'a> From<&'a Finding> for NotTested<'a> {
    fn from(finding: &'a Finding) -> Self {
        Self { check: &finding.check, node: finding.node.as_deref(), reason: &finding.saw }
    }
}

impl<'a> From<&'a Finding> for FindingObject<'a> {
    fn from(finding: &'a Finding) -> Self {
        Self {
            check: &finding.check,
            node: finding.node.as_deref(),
            status: finding.status.into(),
            asked: &finding.asked,
            saw: &finding.saw,
            wanted: &finding.wanted,
            why: &finding.why,
            remedy: finding.remedy.as_deref(),
            duration_ms: milliseconds(finding.duration),
        }
    }
}

impl From<Status> for StatusWord {
    fn from(status: Status) -> Self {
        match status {
            Status::Pass => Self::Pass,
            Status::Warn => Self::Warn,
            Status::Fail => Self::Fail,
            Status::Skip => Self::Skip,
        }
    }
}

impl From<Outcome> for OutcomeWord {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pass => Self::Pass,
            Outcome::Fail => Self::Fail,
            Outcome::Unproven => Self::Unproven,
        }
    }
}

impl From<Level> for LevelWord {
    fn from(level: Level) -> Self {
        Self(level.name())
    }
}

impl From<Counts> for CountsObject {
    fn from(Counts { pass, warn, fail, skip }: Counts) -> Self {
        Self { pass, warn, fail, skip }
    }
}

fn levels(verdict: &Verdict) -> Vec<LevelObject> {
    let unproven = verdict.unproven();
    let of = |(level, findings): (Level, Vec<&Finding>)| LevelObject {
        level: level.into(),
        proven: !unproven.contains(&level),
        counts: Counts::of(findings.iter().copied()).into(),
        duration_ms: milliseconds(findings.iter().map(|finding| finding.duration).sum()),
    };
    by_level(verdict).into_iter().map(of).collect()
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::verdict::tests::example;
    use super::*;

    /// A schema that is committed is what the code makes.
    pub(in crate::report) fn assert_committed(name: &str, schema: &Value) {
        let path = format!("{}/docs/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
        let current = pretty(schema);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs_err::write(&path, &current).unwrap();
        }
        let committed = fs_err::read_to_string(path).unwrap_or_default();
        assert!(committed == current, "renew it: UPDATE_EXPECT=1 cargo test the_committed_schema");
    }

    #[test]
    fn the_committed_schema_is_current() {
        assert_committed("verdict", &verdict_schema());
    }

    #[test]
    fn a_verdict_as_a_document() {
        insta::with_settings!({filters => vec![(env!("CARGO_PKG_VERSION"), "[version]")]}, {
            insta::assert_snapshot!(verdict_json(&example()));
        });
    }

    #[test]
    fn the_document_has_what_the_schema_requires_and_nothing_else() {
        let document: Value = serde_json::from_str(&verdict_json(&example())).unwrap();
        let schema = verdict_schema();
        assert_object(&document, &schema);
        for finding in document["findings"].as_array().unwrap() {
            assert_object(finding, &schema["$defs"]["Finding"]);
        }
        for level in document["levels"].as_array().unwrap() {
            assert_object(level, &schema["$defs"]["LevelObject"]);
        }
        for skipped in document["not_tested"].as_array().unwrap() {
            assert_object(skipped, &schema["$defs"]["NotTested"]);
        }
    }

    pub(in crate::report) fn assert_object(object: &Value, schema: &Value) {
        let object = object.as_object().unwrap();
        for name in schema["required"].as_array().unwrap() {
            assert!(object.contains_key(name.as_str().unwrap()), "{name} is missing in {object:?}");
        }
        for key in object.keys() {
            assert!(schema["properties"].get(key).is_some(), "the schema lacks `{key}`");
        }
    }
}
