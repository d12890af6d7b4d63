//! Level api: which GitLab this is, and whose token asks.

mod agreement;
mod ask;
mod graphql;
mod metadata;
#[cfg(test)]
mod tests;
mod token;
mod version;
mod words;

use super::catalogue::Check;
use super::question::{Miss, Patience, Question};
use super::target::{Options, Target};
use super::verify::when;
use crate::events::{Finding, Status};
use crate::instance::Instance;

pub(super) use ask::{Api, lacks, number, text};
pub(super) use token::Identity;
pub(super) use words::{READ_ONLY, refused};

/// Why a check can't be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// Another one did not pass.
    Check(Check),
    /// There is no token, for this reason.
    NoToken(String),
    /// It writes, and nothing may be written.
    ReadOnly,
}

/// What level api came to.
pub(super) struct Asked {
    pub(super) findings: Vec<Finding>,
    pub(super) identity: Result<Identity, Obstacle>,
    /// Whether what answered is no API of GitLab at all, so that the sign-in page may name the true cause.
    pub(super) foreign: bool,
}

impl Asked {
    /// The findings. Where no API of GitLab answered and the sign-in page failed too, one of them is enough.
    pub(super) fn behind(mut self, signed_out: bool) -> Vec<Finding> {
        if self.foreign && signed_out {
            let tokens = self.findings.iter_mut().filter(|finding| finding.check == Check::Token.name());
            for finding in tokens {
                finding.status = Status::Skip;
                finding.remedy =
                    Some(format!("see `{}`; this check asks once that one passes", Check::SignIn));
            }
        }
        self.findings
    }
}

/// Asks the whole level.
pub(super) async fn check(target: &Target, options: &Options, instance: Result<&Instance, Check>) -> Asked {
    let token::Answered { finding, identity, foreign } = token::check(target, options, instance).await;
    let asked = identity.as_ref().map_err(Clone::clone).and_then(|_| instance.map_err(Obstacle::Check));
    let patience = options.patience;
    let (version, metadata, graphql) = tokio::join!(
        when(options.asks(Check::Version), version::ask(asked.clone(), patience)),
        when(options.asks(Check::Metadata), metadata::ask(asked.clone(), patience)),
        when(options.asks(Check::Graphql), graphql::ask(asked, patience)),
    );
    let wanted = target.wanted.as_ref();
    let own = agreement::Reference::of_version(wanted, version.as_ref());
    let others = agreement::Reference::of_others(wanted, version.as_ref());
    let judged = [
        version.map(|seen| own.judge(seen)),
        metadata.map(|seen| others.judge(seen)),
        graphql.map(|seen| others.judge(seen)),
    ];
    let findings = [Some(finding)].into_iter().chain(judged).flatten().collect();
    Asked { findings, identity, foreign }
}

impl Question {
    /// Leaves the question unasked.
    pub(super) fn obstructed(self, obstacle: &Obstacle) -> Finding {
        let miss = match obstacle {
            Obstacle::Check(by) => return self.blocked(*by),
            Obstacle::NoToken(reason) => Miss::skip(reason, "give an access token with scope `api`"),
            Obstacle::ReadOnly => {
                Miss::skip("it writes, and this verification only reads", "ask again without `--read-only`")
            }
        };
        self.answer(Err(miss))
    }
}

/// The time of one check that begins now.
pub(super) fn limits(patience: Patience) -> crate::instance::Limits {
    crate::instance::Limits {
        attempt: patience.attempt,
        end: tokio::time::Instant::now() + patience.deadline,
    }
}
