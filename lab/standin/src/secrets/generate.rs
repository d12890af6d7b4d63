//! Makes secrets. The asymmetric ones come from the package's Ruby, as in the real package.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rand::RngExt as _;
use rand::distr::{Alphanumeric, SampleString as _};
use serde_json::{Value, json};

use super::Make;
use crate::settings::{EvaluateError, ruby};

/// A value for each wanted secret, in their order.
pub fn generate(wanted: &[Make]) -> Result<Vec<Value>, EvaluateError> {
    let names: Vec<Value> = wanted
        .iter()
        .filter_map(|make| match make {
            Make::SelfSigned { name, .. } => Some(json!({"name": name, "bits": 2048})),
            _ => None,
        })
        .collect();
    let rsa = wanted.iter().filter(|make| **make == Make::Rsa).count();
    let (mut keys, mut pairs) = if rsa + names.len() > 0 {
        asymmetric(&json!({"rsa": vec![4096; rsa], "self_signed": names}))?
    } else {
        (Vec::new().into_iter(), Vec::new().into_iter())
    };
    Ok(wanted
        .iter()
        .map(|make| match make {
            Make::Rsa => keys.next().unwrap_or_default(),
            Make::SelfSigned { .. } => pairs.next().unwrap_or_default(),
            symmetric => random(*symmetric),
        })
        .collect())
}

type Values = std::vec::IntoIter<Value>;

fn asymmetric(request: &Value) -> Result<(Values, Values), EvaluateError> {
    let output = ruby("keypair.rb", request)?;
    let mut answer: Value = serde_json::from_slice(&output).map_err(|reason| EvaluateError::Ruby {
        program: "keypair.rb".to_owned(),
        reason: reason.to_string(),
    })?;
    let mut list = |key: &str| match answer[key].take() {
        Value::Array(values) => values.into_iter(),
        _ => Vec::new().into_iter(),
    };
    Ok((list("rsa"), list("self_signed")))
}

fn random(make: Make) -> Value {
    let mut rng = rand::rng();
    match make {
        Make::Hex64 => {
            let bytes: [u8; 64] = rng.random();
            json!(hex(&bytes))
        }
        Make::Base64 => json!(STANDARD.encode(rng.random::<[u8; 32]>())),
        Make::UrlSafe => json!(URL_SAFE_NO_PAD.encode(rng.random::<[u8; 32]>())),
        Make::Alnum32 => json!(Alphanumeric.sample_string(&mut rng, 32)),
        Make::AlnumList => json!([Alphanumeric.sample_string(&mut rng, 32)]),
        Make::Rsa | Make::SelfSigned { .. } | Make::SameAs(_) | Make::Never => Value::Null,
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A password for the first administrator.
#[must_use]
pub fn password() -> String {
    STANDARD.encode(rand::rng().random::<[u8; 32]>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_has_two_digits_a_byte() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }

    #[test]
    fn symmetric_secrets_have_the_recorded_shapes() {
        let length = |make| random(make).as_str().map(str::len);
        assert_eq!(length(Make::Hex64), Some(128));
        assert_eq!(length(Make::Alnum32), Some(32));
        assert_eq!(length(Make::Base64), Some(44));
        assert_eq!(random(Make::AlnumList)[0].as_str().map(str::len), Some(32));
        assert_ne!(random(Make::Hex64), random(Make::Hex64));
    }
}
