//! The values in `managed` that are more than text.

use super::block::{Field, Placed, refused};
use super::parse::Value;
use super::problem::{Findings, Problem};
use super::refusal::Refusal;
use super::rule;

/// A DNS name or an address.
pub(super) fn host(field: &Field<'_>, example: &str, findings: &mut Findings) -> Option<Placed<String>> {
    let text = field.text(example, findings)?;
    if is_host(text.value) {
        return Some(Placed { value: text.value.to_owned(), at: text.at });
    }
    let message = format!("`{}` is neither a DNS name nor an address", field.path);
    let help = format!("write the name alone, in lower case, without scheme, port or path, as in {example}");
    findings.add(refused(Refusal::new(&rule::MANAGED_HOST, message, help), field.node));
    None
}

fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.parse::<std::net::IpAddr>().is_ok() || (text.len() <= 253 && text.split('.').all(label))
}

/// An address of S3: scheme, host, perhaps a port, and nothing else.
pub(super) fn endpoint(field: &Field<'_>, findings: &mut Findings) -> Option<String> {
    let example = "`endpoint: https://s3.acme.example`";
    let text = field.text(example, findings)?;
    let rest = text.value.strip_prefix("https://").or_else(|| text.value.strip_prefix("http://"));
    let right = rest.is_some_and(|rest| match rest.split_once(':') {
        Some((host, port)) => is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0),
        None => is_host(rest),
    });
    if right {
        return Some(text.value.to_owned());
    }
    let message = format!("`{}` is not the address of an object storage", field.path);
    let help = format!(
        "write scheme, host and perhaps a port, as in {example}; buckets are named by `bucket_prefix`"
    );
    findings.add(refused(Refusal::new(&rule::MANAGED_ENDPOINT, message, help), field.node));
    None
}

/// A name that stands in addresses and queries: nothing that could end one.
pub(super) fn word(field: &Field<'_>, example: &str, findings: &mut Findings) -> Option<String> {
    let text = field.text(example, findings)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if text.value.len() <= 63 && text.value.chars().all(allowed) && !text.value.starts_with('-') {
        return Some(text.value.to_owned());
    }
    let message =
        format!("`{}` has letters, digits, dots, dashes and underscores, and at most 63 of them", field.path);
    let help = format!("write it as in {example}");
    findings.add(refused(Refusal::new(&rule::MANAGED_NAME, message, help), field.node));
    None
}

/// A TCP port.
pub(super) fn port(field: &Field<'_>, usual: u16, findings: &mut Findings) -> Option<u16> {
    match field.node.value {
        Value::Integer(number) => match u16::try_from(number) {
            Ok(port) if port > 0 => return Some(port),
            _ => {
                let message = format!("`{}` goes from 1 to 65535", field.path);
                findings.add(Problem::new(&rule::MANAGED_PORT, message).at(field.at(), "out of range"));
            }
        },
        Value::Null => field.is_empty(&format!("`port: {usual}`"), findings),
        _ => field.has_wrong_type("a whole number", &format!("`port: {usual}`"), findings),
    }
    None
}

/// True or false.
pub(super) fn flag(field: &Field<'_>, example: &str, findings: &mut Findings) -> Option<bool> {
    match field.node.value {
        Value::Bool(value) => return Some(value),
        Value::Null => field.is_empty(example, findings),
        _ => field.has_wrong_type("true or false", example, findings),
    }
    None
}
