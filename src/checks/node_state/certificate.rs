//! Is the certificate on the node the delivered one, and does it last?

use jiff::{Timestamp, Unit};

use super::NodeFacts;
use crate::checks::question::Miss;

/// As for the certificate that is seen from outside: renewals by hand need about that long.
const SOON_DAYS: i64 = 14;

pub(super) fn wanted() -> String {
    format!("the delivered certificate, valid for {SOON_DAYS} days or more")
}

pub(super) fn judge(facts: &NodeFacts, now: Timestamp) -> Result<String, Miss> {
    let again = "put the deployment's certificate in place with `refarch up`";
    let Some(found) = &facts.state.certificate else {
        return Err(Miss::fail("the node has no certificate", again));
    };
    let Some(end) = found.not_after_s.and_then(|end| Timestamp::from_second(end).ok()) else {
        return Err(Miss::fail("the file is no certificate", again));
    };
    let days = now.until((Unit::Hour, end)).map_or(0, |span| i64::from(span.get_hours()) / 24);
    let until = end.strftime("%Y-%m-%d");
    if facts.state.files.certificate != facts.wanted.certificate {
        return Err(Miss::fail(
            format!("another certificate than was delivered, valid until {until}"),
            again,
        ));
    }
    let renew = "renew the certificate, and put it in place with `refarch up`";
    if end <= now {
        return Err(Miss::fail(format!("it ended on {until}"), renew));
    }
    let saw = format!("as delivered, valid until {until} ({days} days left)");
    if days < SOON_DAYS { Err(Miss::warn(saw, renew)) } else { Ok(saw) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::facts;
    use super::*;
    use crate::events::Status;
    use crate::rollout::CertificateState;

    pub(in crate::checks) const TODAY: &str = "2026-11-23T12:00:00Z";

    fn at(now: &str) -> Result<String, Miss> {
        judge(&facts(), now.parse().unwrap())
    }

    #[test]
    fn passes_on_the_delivered_one() {
        assert_eq!(at(TODAY).unwrap(), "as delivered, valid until 2027-12-25 (396 days left)");
    }

    #[test]
    fn warns_before_its_end_and_fails_after_it() {
        assert_eq!(at("2027-12-20T12:00:00Z").unwrap_err().status, Status::Warn);
        let miss = at("2027-12-26T12:00:00Z").unwrap_err();
        assert_eq!((miss.status, miss.saw.as_str()), (Status::Fail, "it ended on 2027-12-25"));
    }

    #[test]
    fn fails_on_another_one_none_or_something_else() {
        let saw = |change: fn(&mut NodeFacts)| {
            let mut facts = facts();
            change(&mut facts);
            let miss = judge(&facts, TODAY.parse().unwrap()).unwrap_err();
            assert_eq!(miss.status, Status::Fail);
            miss.saw
        };
        assert!(
            saw(|facts| facts.state.files.certificate = Some("x".into())).starts_with("another certificate")
        );
        assert_eq!(saw(|facts| facts.state.certificate = None), "the node has no certificate");
        assert_eq!(
            saw(|facts| facts.state.certificate = Some(CertificateState { not_after_s: None })),
            "the file is no certificate"
        );
    }
}
