//! The stood-in services: one process each, run by runit.

mod client_ip;
mod git_path;
mod gitaly;
mod listen;
mod metrics;
mod page;
mod praefect;
mod puma;
mod sidekiq;
mod workhorse;

/// Why a service ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its configuration is missing or broken.
    #[error(transparent)]
    Config(#[from] crate::config::Error),
    /// It can't listen.
    #[error("cannot listen on `{place}`: {source}")]
    Listen {
        /// Where.
        place: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It can't work on.
    #[error("{0}")]
    Stopped(String),
}

/// Runs a service until it is told to stop. None for a name that is no service.
pub async fn run(name: &str) -> Option<Result<(), Error>> {
    Some(match name {
        "gitaly" => gitaly::run().await,
        "praefect" => praefect::run().await,
        "puma" => puma::run().await,
        "sidekiq" => sidekiq::run().await,
        "workhorse" => workhorse::run().await,
        _ => return None,
    })
}
