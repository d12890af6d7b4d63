//! A table of faults: what is done to the fake, which checks must tell of it, and in which words.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};
use refarch::checks::{Check, Verdict};
use refarch::events::Status;

use super::fake::{Fake, Site};
use super::trial::{Trial, not_passed, words};

/// How many faults are tried at once: most of the time is waiting.
const AT_ONCE: usize = 8;

/// One row.
pub struct Case {
    pub name: String,
    site: Site,
    arrange: Box<dyn Fn(&mut Trial) + Send>,
    not_pass: BTreeMap<&'static str, Status>,
}

impl Case {
    /// A fault that is arranged before a verification begins.
    pub fn new(name: impl Into<String>, arrange: impl Fn(&mut Trial) + Send + 'static) -> Self {
        let site = Site { name: "localhost", ..Site::default() };
        Self { name: name.into(), site, arrange: Box::new(arrange), not_pass: BTreeMap::new() }
    }

    pub fn at(mut self, site: Site) -> Self {
        self.site = site;
        self
    }

    /// The checks that own the fault.
    pub fn fails(self, checks: &[Check]) -> Self {
        self.ends(checks, Status::Fail)
    }

    /// The checks that can't look because of it.
    pub fn skips(self, checks: &[Check]) -> Self {
        self.ends(checks, Status::Skip)
    }

    pub fn warns(self, checks: &[Check]) -> Self {
        self.ends(checks, Status::Warn)
    }

    fn ends(mut self, checks: &[Check], status: Status) -> Self {
        self.not_pass.extend(checks.iter().map(|check| (check.name(), status)));
        self
    }

    async fn tried(self, base: &[Check]) -> Tried {
        let mut trial = Trial::of(Fake::at(&self.site));
        (self.arrange)(&mut trial);
        let verdict = trial.verdict().await;
        let seen: BTreeMap<&str, Status> = not_passed(&verdict);
        let wanted = self.skips(base);
        let complaint = (seen != wanted.not_pass).then(|| {
            let (name, expected) = (&wanted.name, &wanted.not_pass);
            format!("{name}\n  wanted {expected:?}\n  saw    {seen:?}\n{}", words(&verdict))
        });
        Tried { name: wanted.name, complaint, verdict }
    }
}

/// How a row went.
struct Tried {
    name: String,
    complaint: Option<String>,
    verdict: Verdict,
}

/// Tries every row; exactly the named checks must tell of it, and their words are kept under `name`. The checks in
/// `base` can't look in any row.
pub async fn judge(name: &str, base: &[Check], cases: Vec<Case>) {
    let tried: Vec<Tried> =
        stream::iter(cases).map(|case| case.tried(base)).buffered(AT_ONCE).collect().await;
    let complaints: Vec<&str> = tried.iter().filter_map(|one| one.complaint.as_deref()).collect();
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), tried.len(), complaints.join("\n"));
    let text = tried.iter().map(|one| format!("## {}\n{}", one.name, told(&one.verdict, base)));
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, instead) in FILTERS {
        settings.add_filter(pattern, instead);
    }
    settings.bind(|| insta::assert_snapshot!(name, text.collect::<Vec<_>>().join("\n")));
}

/// What differs from run to run.
const FILTERS: [(&str, &str); 8] = [
    (r"TLS on \d+:", "TLS on PORT:"),
    (r"within \d+ (ms|s)\b", "within TIME"),
    (r"\b(localhost|127\.0\.0\.1|gitlab\.acme\.example)(:| port )\d{4,5}\b", "$1${2}PORT"),
    (r"\brun-[0-9a-z]{8}\b", "run-RUN"),
    (r"deletion_scheduled-\d+", "deletion_scheduled-ID"),
    (r"\b[0-9a-f]{40}\b", "COMMIT"),
    (r"\b[0-9a-f]{32}\b", "SECRET"),
    (r"/tmp/trial-[^/]+", "FOLDER"),
];

fn told(verdict: &Verdict, base: &[Check]) -> String {
    let mut verdict = verdict.clone();
    verdict.findings.retain(|finding| {
        !(finding.status == Status::Skip && base.iter().any(|check| check.name() == finding.check))
    });
    words(&verdict)
}
