//! Why a request got no answer.

use std::error::Error;
use std::io;
use std::time::Duration;

use super::tls::TlsFault;

/// Why a request got no answer; an answer with a bad status is not a fault, but an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing listens there.
    #[error("the connection was refused")]
    Refused,
    /// The time given for one attempt ran out.
    #[error("no answer within {}", seconds(*.0))]
    Silent(Duration),
    /// The network said no.
    #[error("the address can't be reached: {0}")]
    Unreachable(String),
    /// TLS failed before anything was asked.
    #[error("{0}")]
    Tls(TlsFault),
    /// The connection ended in the middle of the answer.
    #[error("the connection was cut: {0}")]
    Cut(String),
    /// More came than any page that is asked for holds.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The proxy opened no way.
    #[error("{0}")]
    Proxy(String),
    /// A download was sent on and on, or nowhere.
    #[error("the answer is a redirect {0}")]
    Redirect(String),
    /// Anything else, in the words of the HTTP library.
    #[error("the request failed: {0}")]
    Other(String),
}

impl Fault {
    /// Whether the same question may be answered a little later, as by an instance that is just starting.
    #[must_use]
    pub const fn passing(&self) -> bool {
        match self {
            Self::Refused | Self::Silent(_) | Self::Unreachable(_) | Self::Cut(_) => true,
            Self::Tls(fault) => fault.passing(),
            Self::TooLarge(_) | Self::Proxy(_) | Self::Redirect(_) | Self::Other(_) => false,
        }
    }

    pub(super) fn of_request(error: &reqwest::Error, given: Duration) -> Self {
        if error.is_timeout() {
            return Self::Silent(given);
        }
        if let Some(fault) = cause::<rustls::Error>(error) {
            return Self::Tls(TlsFault::of(fault, &[]));
        }
        if let Some(io) = cause::<io::Error>(error) {
            return Self::of_io(io, given);
        }
        if error.is_request() || error.is_body() || error.is_decode() {
            return Self::Cut(innermost(error));
        }
        Self::Other(innermost(error))
    }

    /// The fault that a socket reported.
    #[must_use]
    pub fn of_io(error: &io::Error, given: Duration) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::Silent(given),
            // The TLS library's own words speak of its manual, and not of what happened.
            io::ErrorKind::UnexpectedEof => Self::Cut("it ended before the answer was whole".into()),
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                Self::Cut(error.to_string())
            }
            _ => Self::Unreachable(error.to_string()),
        }
    }
}

/// A duration as people say it.
pub(crate) fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{} s", duration.as_secs())
    }
}

/// The first error of type `T` in the chain; what an `io::Error` wraps is part of the chain too.
fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
