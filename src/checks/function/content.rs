//! What is stored and fetched: random, so that nothing old and nothing else can pass for it.

use rand::RngExt as _;
use rand::distr::Alphanumeric;

use crate::checks::api::Api;
use crate::checks::question::Miss;
use crate::instance::Request;

/// Large enough to be no row in a database, small enough to be nobody's burden.
const SIZE: usize = 32 * 1024;

/// Random bytes.
pub(super) fn bytes() -> Vec<u8> {
    let mut bytes = vec![0; SIZE];
    rand::rng().fill(bytes.as_mut_slice());
    bytes
}

/// Random letters and digits.
pub(super) fn word(length: usize) -> String {
    let letters = rand::rng().sample_iter(Alphanumeric).map(char::from);
    letters.take(length).collect::<String>().to_ascii_lowercase()
}

/// Fetches what an instance accepted, and says that it is the same. `what` is its name, `storage` where to look otherwise.
pub(super) async fn comes_back(
    api: &Api<'_>,
    fetch: Request,
    stored: &[u8],
    what: &str,
    storage: &str,
) -> Result<String, Miss> {
    let came = api.fetch_back(fetch, what, storage).await?;
    match difference(stored, &came) {
        None => Ok(format!("{} bytes went up and came back the same", stored.len())),
        Some(difference) => Err(Miss::fail(format!("the {what} was accepted, but {difference}"), storage)),
    }
}

/// How what came back differs from what was stored; nothing where it does not.
pub(super) fn difference(stored: &[u8], came: &[u8]) -> Option<String> {
    if stored == came {
        return None;
    }
    Some(match (stored.len(), came.len()) {
        (_, 0) => "nothing came back".into(),
        (same, other) if same == other => format!("{other} other bytes came back"),
        (stored, came) => format!("{came} bytes came back of {stored}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_content_is_another_and_a_difference_is_said() {
        let (one, other) = (bytes(), bytes());
        assert_eq!((one.len(), difference(&one, &one)), (SIZE, None));
        assert_eq!(difference(&one, &other).unwrap(), "32768 other bytes came back");
        assert_eq!(difference(&one, &other[1..]).unwrap(), "32767 bytes came back of 32768");
        assert_eq!(difference(&one, b"").unwrap(), "nothing came back");
        assert!(word(8).len() == 8 && word(8) != word(8));
    }
}
