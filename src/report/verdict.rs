//! A verdict as text: what it is, what was not tested, what to do, how long it took.

use std::fmt::{self, Write as _};
use std::io::{self, Write};

use super::style::{Style, Tone};
use super::text::{counted, spoken, wrapped};
use crate::checks::{Check, Counts, Level, Outcome, Verdict};
use crate::events::{Finding, Status};

/// The name by which the stand-in is called wherever a user can meet it.
pub(super) const STANDIN: &str = "lab stand-in, not GitLab";
/// How many of the slowest checks are named.
const SLOWEST: usize = 5;

/// Writes the verdict. That nobody reads it any more is no error.
pub fn print_verdict(out: &mut dyn Write, verdict: &Verdict, style: Style) -> io::Result<()> {
    print(out, &verdict_text(verdict, style))
}

/// Writes text to whoever may have gone.
pub(super) fn print(out: &mut dyn Write, text: &str) -> io::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// The verdict as text that fits 80 columns.
#[must_use]
pub fn verdict_text(verdict: &Verdict, style: Style) -> String {
    [
        headline(verdict, style),
        not_tested(verdict, style),
        details(&verdict.to_do(), style),
        passed(verdict, style),
        timings(verdict, style),
    ]
    .concat()
}

/// The findings of each level up to the verdict's own.
pub(super) fn by_level(verdict: &Verdict) -> Vec<(Level, Vec<&Finding>)> {
    // What a run adds to its checks' findings, such as data that was given up, belongs to no level of its own.
    let level_of = |finding: &Finding| finding.check.parse().map_or(verdict.level, Check::level);
    let is_of = |finding: &Finding, level| level_of(finding) == level;
    let of = |level| verdict.findings.iter().filter(|finding| is_of(finding, level)).collect();
    // Where only some checks were asked for, a level that none of them belongs to says nothing.
    let unproven = verdict.unproven();
    let levels = Level::ALL.into_iter().filter(|level| *level <= verdict.level);
    let levels = levels.map(|level| (level, of(level)));
    let meant = |level: Level, findings: &[&Finding]| {
        verdict.only.is_none() || !findings.is_empty() || unproven.contains(&level)
    };
    levels.filter(|(level, findings): &(Level, Vec<&Finding>)| meant(*level, findings)).collect()
}

fn headline(verdict: &Verdict, style: Style) -> String {
    let (word, tone, means) = match verdict.outcome() {
        Outcome::Pass => ("PASS", Tone::Good, "no check failed"),
        Outcome::Fail => ("FAIL", Tone::Bad, "not all is as it should be"),
        Outcome::Unproven => ("UNPROVEN", Tone::Attention, "no check failed, but too few could look"),
    };
    let mut text = format!("{}  {}", style.paint(tone, word), verdict.url);
    if verdict.standin {
        let _ = write!(text, " ({STANDIN})");
    }
    text.push('\n');
    let Counts { pass, warn, fail, skip } = verdict.counts();
    let ended = ended([pass, warn, fail, skip]);
    let total = counted(verdict.findings.len(), "check");
    let of = verdict.deployment.as_ref().map(|deployment| format!(" of `{deployment}`")).unwrap_or_default();
    let counts = format!("{means}; of {total}{of} at level {}: {ended}", verdict.level);
    text.push_str(&wrapped("", &counts));
    if let Some(only) = &verdict.only {
        let only: Vec<_> = only.iter().map(|check| check.name()).collect();
        text.push_str(&wrapped("", &format!("only these were asked for: {}", only.join(", "))));
    }
    for waiver in &verdict.waived {
        let left_out = format!("left out of preflight: {}, because {}", waiver.check, waiver.because);
        text.push_str(&wrapped("", &left_out));
    }
    for level in verdict.unproven() {
        text.push_str(&wrapped("", &format!("nothing is proven at level {level}: no check of it passed")));
    }
    text
}

/// How many checks passed, warned, failed and could not look, in words.
pub(super) fn ended<N: Default + fmt::Display + PartialEq>(counts: [N; 4]) -> String {
    let words = ["passed", "warned", "failed", "could not look"];
    let ended = counts.into_iter().zip(words).filter(|(count, _)| *count != N::default());
    ended.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

fn not_tested(verdict: &Verdict, style: Style) -> String {
    let mut text = format!("\n{}\n", style.paint(Tone::Strong, "Not tested"));
    let skipped: Vec<_> = verdict.not_tested().collect();
    text.push_str(&reasons(&skipped));
    if verdict.deployment.is_none() && verdict.only.is_none() && verdict.level >= Level::Health {
        let _ = writeln!(text, "  the nodes");
        text.push_str(&wrapped("        reason  ", "no node is known of a GitLab that is asked by its URL"));
    } else if skipped.is_empty() {
        let of = if verdict.only.is_some() { "that was asked for" } else { "of this level" };
        let _ = writeln!(text, "  nothing: every check {of} could look");
    }
    text
}

/// Why these could not look, and what to do about it.
pub(super) fn reasons(skipped: &[&Finding]) -> String {
    let mut text = String::new();
    for finding in skipped {
        let _ = writeln!(text, "  {}", name(finding));
        text.push_str(&wrapped("        reason  ", &finding.saw));
        if let Some(remedy) = &finding.remedy {
            text.push_str(&wrapped("        remedy  ", remedy));
        }
    }
    text
}

/// All that these say, under a heading of their own.
pub(super) fn details(findings: &[&Finding], style: Style) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", style.paint(Tone::Strong, "Findings"));
    for finding in findings {
        let word = style.paint(tone(finding.status), status_word(finding.status));
        let _ = writeln!(text, "  {word}  {}", name(finding));
        text.push_str(&wrapped("        asked   ", &finding.asked));
        text.push_str(&wrapped("        saw     ", &finding.saw));
        text.push_str(&wrapped("        wanted  ", &finding.wanted));
        text.push_str(&wrapped("        why     ", &finding.why));
        if let Some(remedy) = &finding.remedy {
            text.push_str(&wrapped("        remedy  ", remedy));
        }
    }
    text
}

fn passed(verdict: &Verdict, style: Style) -> String {
    let mut text = String::new();
    for (level, findings) in by_level(verdict) {
        let mut nodes: Vec<(&str, usize)> = Vec::new();
        for finding in findings.iter().filter(|finding| finding.status == Status::Pass) {
            match nodes.last_mut().filter(|(check, _)| *check == finding.check) {
                Some((_, count)) => *count += 1,
                None => nodes.push((&finding.check, 1)),
            }
        }
        let names = nodes.iter().map(|(check, count)| match count {
            1 => (*check).to_owned(),
            count => format!("{check} ({count} times)"),
        });
        let names = names.collect::<Vec<_>>().join(", ");
        if !names.is_empty() {
            text.push_str(&wrapped(&format!("  {:10} ", level.name()), &names));
        }
    }
    if text.is_empty() { text } else { format!("\n{}\n{text}", style.paint(Tone::Strong, "Passed")) }
}

/// What took longest, and all of it; how long each check took is in the document for machines.
fn timings(verdict: &Verdict, style: Style) -> String {
    let mut text = format!("\n{}\n", style.paint(Tone::Strong, "Timings"));
    let mut looked: Vec<_> = verdict.findings.iter().filter(|it| it.status != Status::Skip).collect();
    looked.sort_by_key(|finding| std::cmp::Reverse(finding.duration));
    let rows = looked.iter().take(SLOWEST).map(|finding| (name(finding), spoken(finding.duration)));
    let all = format!("all {}, partly in parallel", counted(verdict.findings.len(), "check"));
    let rows: Vec<_> = rows.chain([(all, spoken(verdict.duration))]).collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    for (name, duration) in rows {
        let _ = writeln!(text, "  {name:width$}  {duration:>12}");
    }
    text
}

/// The check, and the node it speaks of.
pub(super) fn name(finding: &Finding) -> String {
    match &finding.node {
        Some(node) => format!("{} on {node}", finding.check),
        None => finding.check.clone(),
    }
}

pub(super) const fn status_word(status: Status) -> &'static str {
    match status {
        Status::Pass => "pass",
        Status::Warn => "warn",
        Status::Fail => "fail",
        Status::Skip => "skip",
    }
}

pub(super) const fn tone(status: Status) -> Tone {
    match status {
        Status::Pass => Tone::Good,
        Status::Warn => Tone::Attention,
        Status::Fail => Tone::Bad,
        Status::Skip => Tone::Quiet,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;

    pub(in crate::report) fn finding(check: &str, status: Status, node: Option<&str>) -> Finding {
        let (saw, wanted, why, remedy) = match check {
            "dns" => (
                "no address: Name or service not known; 198.18.4.2 was asked instead",
                "198.18.4.2, the deployment's address",
                "people and runners find GitLab by its name",
                Some("add the record `gitlab.acme.example. A 198.18.4.2` to your DNS"),
            ),
            "readiness" => (
                "503, db_check failed: could not connect to server: Connection refused",
                "200, and `ok` from the database, Redis and Gitaly",
                "GitLab works only as well as the database, Redis and Gitaly behind it",
                Some("see `gitlab-ctl status` and `gitlab-ctl tail postgresql` on the node"),
            ),
            "size" => (
                "size is simulated: the lab's nodes share this machine's cores and memory",
                "8 vCPU and 16 GB of memory",
                "a node smaller than its architecture says fails under load, not now",
                Some("read nothing about speed or capacity into this deployment"),
            ),
            _ => ("what was wanted", "this", "because", None),
        };
        Finding {
            check: check.into(),
            status,
            asked: format!("the {check} of `gitlab.acme.example`"),
            saw: saw.into(),
            wanted: wanted.into(),
            why: why.into(),
            remedy: remedy.map(ToOwned::to_owned),
            node: node.map(ToOwned::to_owned),
            duration: Duration::from_millis(12),
        }
    }

    pub(in crate::report) fn example() -> Verdict {
        let node = Some("acme-all-in-one-1");
        Verdict {
            deployment: Some("acme".into()),
            url: "https://gitlab.acme.example".into(),
            level: Level::Health,
            read_only: false,
            only: None,
            waived: vec![crate::checks::preflight::Waiver {
                check: crate::checks::preflight::Check::DiskSpeed,
                because: "the disks come on Monday".into(),
            }],
            standin: true,
            started: Timestamp::UNIX_EPOCH,
            duration: Duration::from_millis(2345),
            findings: vec![
                finding("dns", Status::Warn, None),
                finding("tcp", Status::Pass, None),
                finding("sign_in", Status::Pass, None),
                finding("readiness", Status::Fail, node),
                finding("size", Status::Skip, node),
            ],
        }
    }

    #[test]
    fn a_verdict_that_fails() {
        insta::assert_snapshot!(verdict_text(&example(), Style::plain()));
    }

    #[test]
    fn a_verdict_that_passes() {
        let findings = vec![finding("tcp", Status::Pass, None), finding("sign_in", Status::Pass, None)];
        let verdict = Verdict { standin: false, findings, ..example() };
        insta::assert_snapshot!(verdict_text(&verdict, Style::plain()));
    }

    #[test]
    fn a_verdict_that_proves_nothing_does_not_look_like_a_pass() {
        let findings = vec![finding("tcp", Status::Pass, None), finding("size", Status::Skip, None)];
        let text = verdict_text(&Verdict { findings, ..example() }, Style::plain());
        assert!(
            text.starts_with("UNPROVEN  https://gitlab.acme.example (lab stand-in, not GitLab)\n"),
            "{text}"
        );
        assert!(text.contains("nothing is proven at level health"), "{text}");
        assert!(!text.contains("PASS"), "{text}");
    }

    #[test]
    fn what_was_asked_for_is_said() {
        let only = Some(std::collections::BTreeSet::from([Check::SignIn]));
        let verdict = Verdict { only, findings: vec![finding("sign_in", Status::Pass, None)], ..example() };
        let text = verdict_text(&verdict, Style::plain());
        assert!(text.starts_with("PASS") && text.contains("only these were asked for: sign_in"), "{text}");
        assert!(text.contains("every check that was asked for could look"), "{text}");
        assert_eq!(by_level(&verdict).len(), 1);
    }

    #[test]
    fn of_a_gitlab_by_its_url_the_nodes_were_not_tested() {
        let findings = vec![finding("tcp", Status::Pass, None), finding("sign_in", Status::Pass, None)];
        let verdict = Verdict { deployment: None, standin: false, findings, ..example() };
        insta::assert_snapshot!(verdict_text(&verdict, Style::plain()));
    }

    #[test]
    fn every_line_fits_80_columns() {
        for line in verdict_text(&example(), Style::plain()).lines() {
            assert!(line.chars().count() <= 80 && !line.contains('\u{1b}'), "{line}");
        }
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_a_full_disk_is() {
        struct Closed(io::ErrorKind);
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let print = |kind| print_verdict(&mut Closed(kind), &example(), Style::plain());
        assert!(print(io::ErrorKind::BrokenPipe).is_ok());
        assert!(print(io::ErrorKind::StorageFull).is_err());
    }
}
