//! A table of faults: what is done to the fake, which checks must tell of it, and in which words.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};
use refarch::checks::{Check, Patience, Verdict};
use refarch::events::Status;

use super::fake::{Fake, Site};
use super::trial::{PATIENCE, Trial, not_passed, words};

/// How many faults are tried at once: most of the time is waiting.
const AT_ONCE: usize = 8;

/// Rows wait for no longer than an idle machine needs, as many of them wait to the end. On a busy one that is too short for
/// what works, too: a row that complains is tried again by itself with so many times its patience, and that counts.
const BUSY: u32 = 10;

/// One row.
pub struct Case {
    pub name: String,
    site: Site,
    arrange: Box<dyn Fn(&mut Trial) + Send>,
    not_pass: BTreeMap<&'static str, Status>,
    leaves: Option<&'static str>,
    patience: Patience,
}

impl Case {
    /// A fault that is arranged before a verification begins.
    pub fn new(name: impl Into<String>, arrange: impl Fn(&mut Trial) + Send + 'static) -> Self {
        let site = Site { name: "localhost", ..Site::default() };
        Self {
            name: name.into(),
            site,
            arrange: Box::new(arrange),
            not_pass: BTreeMap::new(),
            leaves: None,
            patience: PATIENCE,
        }
    }

    pub fn at(mut self, site: Site) -> Self {
        self.site = site;
        self
    }

    pub fn with(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Says what else is special about the row.
    pub fn named(mut self, besides: &str) -> Self {
        self.name = format!("{}, {besides}", self.name);
        self
    }

    /// Arranges something more, first.
    pub fn before(mut self, more: impl Fn(&mut Trial) + Send + 'static) -> Self {
        let then = self.arrange;
        self.arrange = Box::new(move |trial| {
            more(trial);
            then(trial);
        });
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

    /// What stays on the instance in spite of everything: the only path that begins so.
    pub fn leaves(mut self, start: &'static str) -> Self {
        self.leaves = Some(start);
        self
    }

    pub fn warns(self, checks: &[Check]) -> Self {
        self.ends(checks, Status::Warn)
    }

    fn ends(mut self, checks: &[Check], status: Status) -> Self {
        self.not_pass.extend(checks.iter().map(|check| (check.name(), status)));
        self
    }

    /// Tries it, with so many times its patience.
    async fn tried(&self, times: u32) -> Tried {
        let mut trial = Trial::of(Fake::at(&self.site));
        trial.options.patience = self.patience;
        (self.arrange)(&mut trial);
        let Patience { deadline, attempt } = trial.options.patience;
        trial.options.patience = Patience { deadline: deadline * times, attempt: attempt * times };
        let verdict = trial.verdict().await;
        let seen: BTreeMap<&str, Status> = not_passed(&verdict);
        let mut complaint = (seen != self.not_pass).then(|| {
            let (name, expected) = (&self.name, &self.not_pass);
            format!("{name}\n  wanted {expected:?}\n  saw    {seen:?}\n{}", words(&verdict))
        });
        let mut left = trial.fake.holds();
        left.retain(|path| path != "refarch-verify");
        let expected = self.leaves.is_some_and(|start| left.iter().all(|path| path.starts_with(start)));
        if !expected && !left.is_empty() || self.leaves.is_some() && left.is_empty() {
            let so_far = complaint.unwrap_or_else(|| self.name.clone());
            complaint = Some(format!("{so_far}\n  left on the instance: {left:?}"));
        }
        Tried { name: self.name.clone(), complaint, verdict }
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
    let cases: Vec<Case> = cases.into_iter().map(|case| case.skips(base)).collect();
    let mut tried: Vec<Tried> =
        stream::iter(&cases).map(|case| case.tried(1)).buffered(AT_ONCE).collect().await;
    for (case, tried) in cases.iter().zip(&mut tried).filter(|(_, tried)| tried.complaint.is_some()) {
        *tried = case.tried(BUSY).await;
    }
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
const FILTERS: [(&str, &str); 18] = [
    // git and its helpers speak at once, and what is said after the first line comes in any order.
    (r"(git (?:push|clone): `[^;`]*);[^`]*", "$1…"),
    (r#""expires_at":"[^`]*"#, r#""expires_at":"DATE…"#),
    (r"\bbegun \d[^`]*", "begun TIME…"),
    (r"\bmerged as [0-9a-f]{12}\b", "merged as COMMIT"),
    (r"\bkex_exchange_identification: [^`]*", "kex_exchange_identification: …"),
    (r"\bafter \d+ s\b", "after TIME"),
    (r"\bProbe [0-9a-z]{16}\b", "Probe WORD"),
    (r"\bprojects/\d+\b", "projects/ID"),
    (r"\b[0-9a-f]{64}\b", "OID"),
    (r"TLS on \d+:", "TLS on PORT:"),
    (r"within \d+ (ms|s)\b", "within TIME"),
    (r"\b\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
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
