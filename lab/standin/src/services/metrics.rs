//! What a service tells Prometheus: that it runs, which version, and the few numbers that it has.

use std::fmt::Write as _;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::{Error, listen};
use crate::manifest;

/// A number with its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Name of the metric.
    pub name: &'static str,
    /// Labels, as `key="value"`, separated by commas.
    pub labels: String,
    /// The number.
    pub value: i64,
}

/// The text that Prometheus reads.
#[must_use]
pub fn text(service: &str, samples: &[Sample]) -> String {
    let version = manifest::version().map_or_else(|_| "unknown".to_owned(), |version| version.to_string());
    let mut text = format!(
        "# TYPE gitlab_build_info gauge\ngitlab_build_info{{service=\"{service}\",version=\"{version}\",notice=\"{}\"}} 1\n",
        crate::paths::NOTICE
    );
    for sample in samples {
        let Sample { name, labels, value } = sample;
        let _ = writeln!(text, "# TYPE {name} gauge\n{name}{{{labels}}} {value}");
    }
    text
}

/// The text as an answer.
#[must_use]
pub fn answer(service: &str, samples: &[Sample]) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text(service, samples)).into_response()
}

/// Answers `/metrics` on a port of its own.
pub async fn serve<F>(
    place: &str,
    service: &'static str,
    samples: impl Fn() -> F + Clone + Send + Sync + 'static,
) -> Result<(), Error>
where
    F: Future<Output = Vec<Sample>> + Send + 'static,
{
    let listener = listen::tcp(place).await?;
    let app = Router::new().route(
        "/metrics",
        get(move || {
            let samples = samples();
            async move { answer(service, &samples.await) }
        }),
    );
    axum::serve(listener, app).await.map_err(|error| Error::Stopped(error.to_string()))
}

/// Nothing but that the service runs.
pub async fn none() -> Vec<Sample> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_can_read_it() {
        let sample = Sample { name: "gitaly_x", labels: "a=\"b\"".into(), value: 3 };
        let text = text("gitaly", &[sample]);
        assert!(text.contains("gitlab_build_info{service=\"gitaly\","), "{text}");
        assert!(text.ends_with("# TYPE gitaly_x gauge\ngitaly_x{a=\"b\"} 3\n"), "{text}");
    }
}
