//! Terraform's own errors and warnings, with the place in the module they speak of.

use std::fmt;

use camino::Utf8Path;
use miette::{LabeledSpan, NamedSource, SourceCode};
use serde::Deserialize;

use crate::events::Severity;

/// An error or a warning of Terraform.
#[derive(Clone)]
pub struct Diagnostic {
    /// How grave.
    pub severity: Severity,
    /// In one line.
    pub summary: String,
    /// In full.
    pub detail: String,
    /// The resource it speaks of.
    pub address: Option<String>,
    /// Where, as `file:line`.
    pub place: Option<String>,
    source: Option<(NamedSource<String>, LabeledSpan)>,
}

/// A diagnostic as Terraform's JSON has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Raw {
    severity: String,
    summary: String,
    detail: String,
    address: Option<String>,
    range: Option<Range>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Range {
    filename: String,
    start: Position,
    end: Position,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Position {
    line: usize,
    byte: usize,
}

impl Raw {
    /// The diagnostic, with the module's file as its source where that can be read.
    pub fn located(self, dir: &Utf8Path) -> Diagnostic {
        let severity = if self.severity == "warning" { Severity::Warning } else { Severity::Error };
        let place = self.range.as_ref().map(|range| format!("{}:{}", range.filename, range.start.line));
        let source = self.range.and_then(|range| {
            let text = fs_err::read_to_string(dir.join(&range.filename)).ok()?;
            let end = range.end.byte.min(text.len());
            let start = range.start.byte.min(end);
            let span = LabeledSpan::at(start..end, "here");
            Some((NamedSource::new(range.filename, text).with_language("hcl"), span))
        });
        Diagnostic {
            severity,
            summary: self.summary,
            detail: self.detail,
            address: self.address,
            place,
            source,
        }
    }
}

impl fmt::Debug for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Diagnostic")
            .field("severity", &self.severity)
            .field("summary", &self.summary)
            .field("detail", &self.detail)
            .field("address", &self.address)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.summary)?;
        match &self.address {
            Some(address) => write!(formatter, " ({address})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new("refarch::terraform::diagnostic"))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        (!self.detail.is_empty()).then(|| Box::new(&self.detail) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|(source, _)| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.source.as_ref().map(|(_, span)| Box::new(std::iter::once(span.clone())) as Box<_>)
    }
}

#[cfg(test)]
mod tests {
    use miette::Diagnostic as _;

    use super::*;

    fn raw() -> Raw {
        let json = r#"{"severity":"error","summary":"Unsupported argument","detail":"An argument.",
            "address":"lab_host.x",
            "range":{"filename":"bad.tf","start":{"line":2,"column":3,"byte":10},"end":{"line":2,"byte":14}},
            "snippet":{"code":"x"}}"#;
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn points_at_the_place_in_the_module() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(folder.path()).unwrap();
        fs_err::write(dir.join("bad.tf"), "# first\n  nope = 1\n").unwrap();
        let diagnostic = raw().located(dir);
        assert_eq!(diagnostic.to_string(), "Unsupported argument (lab_host.x)");
        assert_eq!(diagnostic.place.as_deref(), Some("bad.tf:2"));
        let label = diagnostic.labels().unwrap().next().unwrap();
        let span = diagnostic.source_code().unwrap().read_span(label.inner(), 0, 0).unwrap();
        assert_eq!(span.data(), b"nope");
    }

    #[test]
    fn a_file_that_is_not_there_or_is_shorter_costs_only_the_caret() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(folder.path()).unwrap();
        assert!(raw().located(dir).source_code().is_none());
        fs_err::write(dir.join("bad.tf"), "short").unwrap();
        assert_eq!(raw().located(dir).labels().unwrap().next().unwrap().offset(), 5);
    }
}
