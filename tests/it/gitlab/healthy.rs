//! A healthy GitLab gives no finding.

use refarch::checks::{Check, Level};

use super::fake::{Fake, Site};
use super::trial::{Trial, of};

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_named_is_told() {
    let fake = Fake::at(&Site { name: "localhost", ..Site::default() });
    let mut trial = Trial::of(fake).only(&[Check::Tls]);
    trial.options.level = Level::Reach;
    let verdict = trial.verdict().await;
    assert_eq!(verdict.findings.len(), 1, "{:#?}", verdict.findings);
    assert_eq!(of(&verdict, Check::Tls).remedy, None);
    assert_eq!((trial.fake.seen().len(), trial.commands().len()), (0, 0));
}
