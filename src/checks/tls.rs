//! Is the certificate trusted, valid now, and made for the name?

use std::time::Duration;

use jiff::{Timestamp, Unit};
use url::Url;

use super::catalogue::Check;
use super::question::{Miss, Patience, Question};
use crate::events::Finding;
use crate::instance::{Handshake, TlsFault, Trust, Untrusted, Way, handshake};

/// A certificate that ends sooner is worth a warning: renewals by hand need about that long.
const SOON_DAYS: i64 = 14;

/// Makes one handshake and says whether HTTP may be asked through it.
pub(super) async fn check(
    url: &Url,
    way: Option<&Way>,
    trust: &Result<Trust, Untrusted>,
    patience: Patience,
) -> (Finding, bool) {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let signed_by = trust.as_ref().map_or("a trusted CA", Trust::described);
    let asked = match way {
        Some(way) => format!("a TLS handshake with {way} for `{host}`"),
        None => format!("a TLS handshake for `{host}`"),
    };
    let wanted = format!("a certificate for `{host}`, valid today, signed by {signed_by}");
    let question = Question::new(Check::Tls, asked, wanted);
    let Some(way) = way else { return (question.blocked(Check::Tcp), false) };
    if url.scheme() == "http" {
        let saw =
            "the URL is plain HTTP: whoever stands between reads and changes what is sent, tokens included";
        let miss = Miss::warn(saw, "let GitLab serve TLS, and use its `https` URL");
        return (question.answer(Err(miss)), true);
    }
    let trust = match trust {
        Ok(trust) => trust,
        Err(error) => {
            let remedy = "see that `ca.pem` in the work directory is the deployment's CA";
            return (question.answer(Err(Miss::skip(error.to_string(), remedy))), false);
        }
    };
    let attempt = async |limit: Duration| match handshake(way, &host, trust, limit).await {
        Ok(seen) => Ok((String::new(), seen)),
        Err(fault) => Err(miss(&fault, &host, way.port())),
    };
    let (finding, seen) = question.settle(patience, attempt).await;
    match seen {
        Some(seen) => (judged(finding, &seen, Timestamp::now()), true),
        None => (finding, false),
    }
}

/// A handshake that succeeded passes, unless the certificate is about to end.
fn judged(finding: Finding, seen: &Handshake, now: Timestamp) -> Finding {
    let presented = &seen.presented;
    let days =
        now.until((Unit::Hour, presented.not_after)).map_or(0, |span| i64::from(span.get_hours()) / 24);
    let until = presented.not_after.strftime("%Y-%m-%d");
    let saw = format!("signed by `{}`, valid until {until} ({})", presented.issuer, plural(days));
    if days >= SOON_DAYS {
        return Finding { saw, ..finding };
    }
    let remedy = format!("renew the certificate before {until}, and put it in place with `refarch up`");
    Finding { saw, status: crate::events::Status::Warn, remedy: Some(remedy), ..finding }
}

fn plural(days: i64) -> String {
    match days {
        1 => "1 day left".into(),
        days => format!("{days} days left"),
    }
}

fn miss(fault: &TlsFault, host: &str, port: u16) -> Miss {
    let remedy = match fault {
        TlsFault::PlainHttp => format!("let NGINX serve TLS on {port}: see `nginx['listen_https']` and the scheme of `external_url`"),
        TlsFault::NotTls => format!("something other than GitLab's NGINX holds port {port}: see `ss -ltnp` on the node"),
        TlsFault::UnknownCa { .. } => {
            "see which GitLab answers here; deliver a deployment's certificate again with `refarch up`, or name the CA to trust beside a URL by `--ca FILE`".into()
        }
        TlsFault::SelfSigned { .. } => {
            "the package made its own certificate: deliver that of a deployment with `refarch up`, or name it beside a URL by `--ca FILE`".into()
        }
        TlsFault::WrongName { .. } => {
            format!("deliver a certificate that names `{host}`, or correct `gitlab.url`")
        }
        TlsFault::Expired { .. } => "renew the certificate, and put it in place with `refarch up`".into(),
        TlsFault::NotYetValid { .. } => {
            "compare the clocks of this machine and of the node (`date -u`); if they agree, deliver another certificate"
                .into()
        }
        TlsFault::Silent(_) | TlsFault::Cut(_) | TlsFault::NoConnection(_) | TlsFault::Other(_) => {
            "see `gitlab-ctl status nginx` and `gitlab-ctl tail nginx` on the node".into()
        }
    };
    Miss::fail(fault.to_string(), remedy).passing(fault.passing())
}

#[cfg(test)]
mod tests {
    use super::super::question::tests::IMPATIENT;
    use super::*;
    use crate::events::Status;
    use crate::instance::testing::{Authority, Behaviour, Identity, TlsServer};

    const HOST: &str = "gitlab.acme.example";

    async fn against(server: &TlsServer, ca: &Authority) -> (Finding, bool) {
        let url = Url::parse(&format!("https://{HOST}:{}", server.address.port())).unwrap();
        check(&url, Some(&server.address.into()), &Trust::new(Some(&ca.pem())), IMPATIENT).await
    }

    async fn showing(identity: Identity, ca: &Authority) -> (Finding, bool) {
        against(&TlsServer::start(identity, Behaviour::Hold).await, ca).await
    }

    #[tokio::test]
    async fn passes_with_the_days_left() {
        let ca = Authority::new("Acme CA");
        let (finding, usable) = showing(ca.issue_ending_in(&[HOST], 90), &ca).await;
        assert_eq!((finding.status, usable), (Status::Pass, true), "{finding:?}");
        assert!(finding.saw.contains("signed by `CN=Acme CA`"), "{}", finding.saw);
        assert!(
            finding.saw.contains("(89 days left)") || finding.saw.contains("(90 days left)"),
            "{}",
            finding.saw
        );
    }

    #[tokio::test]
    async fn warns_when_the_end_is_near() {
        let ca = Authority::new("Acme CA");
        let (finding, usable) = showing(ca.issue_ending_in(&[HOST], 9), &ca).await;
        assert_eq!((finding.status, usable), (Status::Warn, true), "{finding:?}");
        assert!(finding.remedy.is_some());
    }

    #[tokio::test]
    async fn fails_on_each_fault_with_words_of_its_own() {
        let ca = Authority::new("Acme CA");
        let http = TlsServer::plain("HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let ssh = TlsServer::plain("SSH-2.0-OpenSSH_10.0\r\n").await;
        let findings = [
            showing(Authority::new("Other CA").issue(&[HOST]), &ca).await,
            showing(Identity::self_signed(HOST), &ca).await,
            showing(ca.issue(&["other.example"]), &ca).await,
            showing(ca.issue_between(&[HOST], 2020, 2021), &ca).await,
            showing(ca.issue_between(&[HOST], 2088, 2089), &ca).await,
            against(&http, &ca).await,
            against(&ssh, &ca).await,
            against(&TlsServer::silent().await, &ca).await,
        ];
        let mut words: Vec<_> = findings.iter().map(|(finding, _)| finding.saw.clone()).collect();
        for (finding, usable) in findings {
            assert_eq!((finding.status, usable), (Status::Fail, false), "{finding:?}");
        }
        assert!(words[2].contains("`other.example`"), "{}", words[2]);
        assert_eq!(words[5], "the port speaks plain HTTP");
        words.sort();
        words.dedup();
        assert_eq!(words.len(), 8, "{words:#?}");
    }

    #[tokio::test]
    async fn skips_when_the_port_is_closed_or_the_ca_unreadable_and_warns_of_plain_http() {
        let ca = Authority::new("Acme CA");
        let url = Url::parse("https://gitlab.acme.example").unwrap();
        let (finding, usable) = check(&url, None, &Trust::new(Some(&ca.pem())), IMPATIENT).await;
        assert_eq!((finding.status, usable), (Status::Skip, false));
        assert_eq!(finding.saw, "not asked, because `tcp` did not pass");

        let server = TlsServer::start(ca.issue(&[HOST]), Behaviour::Hold).await;
        let plain = Url::parse("http://gitlab.acme.example").unwrap();
        let (finding, usable) =
            check(&plain, Some(&server.address.into()), &Trust::new(Some(&ca.pem())), IMPATIENT).await;
        assert_eq!((finding.status, usable), (Status::Warn, true));

        let (finding, usable) =
            check(&url, Some(&server.address.into()), &Trust::new(Some("")), IMPATIENT).await;
        assert_eq!((finding.status, usable), (Status::Skip, false));
        assert!(finding.saw.contains("no `BEGIN CERTIFICATE` block"), "{}", finding.saw);
    }
}
