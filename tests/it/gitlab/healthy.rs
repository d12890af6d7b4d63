//! A healthy GitLab gives no finding.

use refarch::checks::{Check, Level};

use super::fake::{Fake, Site};
use super::trial::{Trial, not_passed, of, words};

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_instance_gives_no_finding() {
    let fake = Fake::at(&Site { name: "localhost", ..Site::default() });
    fake.switches().runner = true;
    let trial = Trial::of(fake);
    let verdict = trial.verdict().await;
    assert!(not_passed(&verdict).is_empty(), "{}", words(&verdict));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_named_is_told() {
    let fake = Fake::at(&Site { name: "localhost", ..Site::default() });
    let mut trial = Trial::of(fake).only(&[Check::Tls]);
    trial.options.level = Level::Health;
    let verdict = trial.verdict().await;
    assert_eq!(verdict.findings.len(), 1, "{:#?}", verdict.findings);
    assert_eq!(of(&verdict, Check::Tls).remedy, None);
    assert_eq!((trial.fake.seen().len(), trial.commands().len()), (0, 0));
}
