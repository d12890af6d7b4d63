//! The last words of a run: where it is, how to get in, what was proven and what was not, what next.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::style::{Style, Tone};
use super::text::{counted, wrapped};
use super::verdict::{STANDIN, name, print, print_verdict};
use crate::checks::{Outcome, Verdict};
use crate::events::Status;

/// What a run has to say at its end.
#[derive(Clone, Debug)]
pub struct Summary<'a> {
    /// The deployment's name.
    pub deployment: &'a str,
    /// Where people find it.
    pub url: &'a str,
    /// Whether this is the lab's stand-in.
    pub standin: bool,
    /// How to get root's password; never the password.
    pub root_password: Option<&'a str>,
    /// The certificate to trust, where it is the deployment's own.
    pub ca: Option<&'a str>,
    /// What was verified, if the run came to it.
    pub verdict: Option<&'a Verdict>,
    /// The folder of this run's logs and reports.
    pub logs: &'a str,
    /// What to type next: a command, and what it does.
    pub next: &'a [(&'a str, &'a str)],
}

impl Summary<'_> {
    /// Writes it, after the whole verdict where that has something to be done. A closed output is no error.
    pub fn print(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        if let Some(verdict) = self.verdict.filter(|verdict| verdict.outcome() != Outcome::Pass) {
            print_verdict(out, verdict, style)?;
        }
        print(out, &self.text(style))
    }

    /// The block as text that fits 80 columns.
    #[must_use]
    pub fn text(&self, style: Style) -> String {
        let mut text = self.headline(style);
        let mut row = |label: &str, value: &str| text.push_str(&wrapped(&format!("  {label:12} "), value));
        if let Some(place) = self.root_password {
            row("sign in", &format!("as `root`; {place}"));
        }
        if let Some(ca) = self.ca {
            row("certificate", &format!("trust `{ca}`"));
        }
        if let Some(verdict) = self.verdict {
            row("checked", &checked(verdict));
            for (label, finding) in labelled("not checked", verdict.not_tested()) {
                row(label, &format!("{}: {}", name(finding), finding.saw));
            }
            let warned = verdict.findings.iter().filter(|finding| finding.status == Status::Warn);
            for (label, finding) in labelled("warned", warned) {
                let remedy = finding.remedy.as_deref().unwrap_or_default();
                row(label, &format!("{}: {}; {remedy}", name(finding), finding.saw));
            }
        } else {
            row("checked", "nothing: this run did not come to verify");
        }
        row("logs", self.logs);
        for (label, (command, what)) in labelled("next", self.next) {
            row(label, &format!("`{command}` {what}"));
        }
        text
    }

    fn headline(&self, style: Style) -> String {
        let (tone, state) = match self.verdict.map(Verdict::outcome) {
            None => (Tone::Strong, "was not verified"),
            Some(Outcome::Pass) => (Tone::Good, "is up"),
            Some(Outcome::Fail) => (Tone::Bad, "is not as it should be"),
            Some(Outcome::Unproven) => (Tone::Attention, "is not proven"),
        };
        let mut text =
            format!("\n{}: {}", style.paint(tone, &format!("{} {state}", self.deployment)), self.url);
        if self.standin || self.verdict.is_some_and(|verdict| verdict.standin) {
            let _ = write!(text, " ({STANDIN})");
        }
        text.push_str("\n\n");
        text
    }
}

/// Puts the label before the first of several.
fn labelled<T>(label: &str, items: impl IntoIterator<Item = T>) -> impl Iterator<Item = (&str, T)> {
    std::iter::once(label).chain(std::iter::repeat("")).zip(items)
}

fn checked(verdict: &Verdict) -> String {
    let looked: Vec<_> = verdict.findings.iter().filter(|finding| finding.status != Status::Skip).collect();
    let mut names: Vec<&str> = looked.iter().map(|finding| finding.check.as_str()).collect();
    names.dedup();
    let counts = verdict.counts();
    let outcome = match (counts.fail, counts.warn) {
        (0, 0) => "all passed".to_owned(),
        (0, warn) => format!("{} passed, {warn} warned", counts.pass),
        (fail, warn) => format!("{} passed, {warn} warned, {fail} failed", counts.pass),
    };
    let (count, level) = (counted(looked.len(), "check"), verdict.level);
    format!("{count} at level {level}, {outcome}: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::verdict::tests::{example, finding};
    use super::*;

    const NEXT: [(&str, &str); 2] =
        [("refarch verify lab-1k.yml", "asks again"), ("refarch destroy lab-1k.yml", "removes everything")];

    fn summary(verdict: Option<&Verdict>) -> Summary<'_> {
        Summary {
            deployment: "acme",
            url: "https://gitlab.acme.example",
            standin: true,
            root_password: Some("the password is `root_password` in .refarch/acme/secrets.json"),
            ca: Some(".refarch/acme/ca.pem"),
            verdict,
            logs: ".refarch/acme/runs/20261123-120000",
            next: &NEXT,
        }
    }

    #[test]
    fn a_run_that_ended_well() {
        let findings = vec![
            finding("dns", Status::Warn, None),
            finding("tcp", Status::Pass, None),
            finding("sign_in", Status::Pass, None),
            finding("size", Status::Skip, Some("acme-all-in-one-1")),
        ];
        let verdict = Verdict { findings, ..example() };
        let mut out = Vec::new();
        summary(Some(&verdict)).print(&mut out, Style::plain()).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap());
    }

    #[test]
    fn a_run_that_was_not_verified() {
        insta::assert_snapshot!(summary(None).text(Style::plain()));
    }

    #[test]
    fn failures_come_with_their_evidence() {
        let mut out = Vec::new();
        summary(Some(&example())).print(&mut out, Style::plain()).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("remedy  see `gitlab-ctl status`"), "{text}");
        assert!(text.contains("acme is not as it should be"), "{text}");
    }
}
