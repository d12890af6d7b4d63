//! What is wrong with a spec: each problem with its rule, its places and what to do.

use std::fmt;

use miette::{Diagnostic, LabeledSpan, Severity, SourceCode};

use super::parse::Span;
use super::rule::Rule;
use super::source::Shown;
use crate::exit::ExitCode;

/// More problems than these are counted and not shown: nobody reads them before correcting the first.
const MOST: usize = 50;

/// One thing that is wrong, or worth a warning.
#[derive(Clone, Debug)]
pub struct Problem {
    rule: &'static Rule,
    message: String,
    help: String,
    places: Vec<(Span, String)>,
    source: Option<Shown>,
}

impl Problem {
    pub(super) fn new(rule: &'static Rule, message: impl Into<String>) -> Self {
        Self { rule, message: message.into(), help: rule.help.to_owned(), places: Vec::new(), source: None }
    }

    /// Adds a place; the first one is where the problem is, further ones are related to it.
    pub(super) fn at(mut self, place: Span, label: impl Into<String>) -> Self {
        self.places.push((place, label.into()));
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// The rule that is broken.
    #[must_use]
    pub const fn rule(&self) -> &'static Rule {
        self.rule
    }

    /// What to do, in the imperative.
    #[must_use]
    pub fn advice(&self) -> &str {
        &self.help
    }

    /// Where in the file it is, in bytes: the place itself first, related ones after it.
    pub fn places(&self) -> impl Iterator<Item = (Span, &str)> {
        self.places.iter().map(|(span, label)| (span.clone(), label.as_str()))
    }

    fn start(&self) -> usize {
        self.places.first().map_or(0, |(span, _)| span.start)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(format!("refarch::spec::{}", self.rule.id)))
    }

    fn severity(&self) -> Option<Severity> {
        Some(if self.rule.warns { Severity::Warning } else { Severity::Error })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        if self.places.is_empty() {
            return None;
        }
        self.source.as_deref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        if self.places.is_empty() {
            return None;
        }
        let label = |(n, (span, text)): (usize, &(Span, String))| {
            let place = (span.start, span.len());
            if n == 0 {
                LabeledSpan::new_primary_with_span(Some(text.clone()), place)
            } else {
                LabeledSpan::new_with_span(Some(text.clone()), place)
            }
        };
        Some(Box::new(self.places.iter().enumerate().map(label)))
    }
}

/// A spec that can't be used: every problem that it has.
#[derive(Clone, Debug)]
pub struct Invalid {
    name: String,
    problems: Vec<Problem>,
    more: usize,
}

impl Invalid {
    pub(super) fn from_warnings(name: &str, warnings: Vec<Problem>) -> Self {
        Self { name: super::source::printable(name), problems: warnings, more: 0 }
    }

    /// The problems, and after them the warnings, each in the order of the file.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The exit code of a command that was given such a spec.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        ExitCode::SpecInvalid
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = self.problems.iter().filter(|problem| !problem.rule.warns).count() + self.more;
        let warnings = self.problems.iter().filter(|problem| problem.rule.warns).count();
        let counted = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        let what = match (errors, warnings) {
            (0, warnings) => counted(warnings, "warning"),
            (errors, 0) => counted(errors, "problem"),
            (errors, warnings) => {
                format!("{} and {}", counted(errors, "problem"), counted(warnings, "warning"))
            }
        };
        write!(f, "`{}` can't be used: {what}", self.name)
    }
}

impl std::error::Error for Invalid {}

impl Diagnostic for Invalid {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new("refarch::spec::invalid"))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let only_warnings = self.problems.iter().all(|problem| problem.rule.warns);
        if self.more > 0 {
            let shown = MOST;
            return Some(Box::new(format!("correct these {shown}, then see the {} others", self.more)));
        }
        only_warnings
            .then(|| Box::new("correct the warnings, or leave `--strict` out") as Box<dyn fmt::Display>)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}

/// The problems and warnings found so far in one file.
#[derive(Debug)]
pub(super) struct Findings {
    source: Shown,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    more: usize,
}

impl Findings {
    pub(super) fn new(source: Shown) -> Self {
        Self { source, problems: Vec::new(), warnings: Vec::new(), more: 0 }
    }

    pub(super) fn add(&mut self, mut problem: Problem) {
        // A place that goes over several lines is marked on its first one: a report is not the file again.
        let text = self.source.inner();
        for (place, _) in &mut problem.places {
            let line = text.get(place.start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
            place.end = place.end.min(place.start + line.len());
        }
        problem.source = Some(self.source.clone());
        let list = if problem.rule.warns { &mut self.warnings } else { &mut self.problems };
        if list.len() < MOST {
            list.push(problem);
        } else if !problem.rule.warns {
            self.more += 1;
        }
    }

    pub(super) fn any(&self) -> bool {
        !self.problems.is_empty()
    }

    /// The warnings of a spec that has no problems.
    pub(super) fn into_warnings(mut self) -> Vec<Problem> {
        self.warnings.sort_by_key(Problem::start);
        self.warnings
    }

    pub(super) fn into_invalid(mut self) -> Invalid {
        self.problems.sort_by_key(Problem::start);
        self.warnings.sort_by_key(Problem::start);
        let name = self.source.name().to_owned();
        self.problems.append(&mut self.warnings);
        Invalid { name, problems: self.problems, more: self.more }
    }
}
