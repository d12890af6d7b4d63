//! Does plain HTTP lead to HTTPS?
//!
//! Every architecture opens port 80 for users, and what listens there only redirects:
//! <https://docs.gitlab.com/omnibus/settings/ssl/> "Redirect HTTP requests to HTTPS" (read 2026-11).

use std::net::SocketAddr;
use std::time::Duration;

use url::Url;

use super::catalogue::Check;
use super::page;
use super::question::{Miss, Patience, Question};
use super::target::Target;
use crate::events::Finding;
use crate::instance::{Answer, Instance, Trust, Way};

const PLAIN: u16 = 80;
const PAGE: &str = "/users/sign_in";

/// Where plain HTTP listens beside a URL. Beside a port of one's own nobody expects it, and a proxy is told the whole URL.
pub(super) fn place(url: &Url, way: Option<&Way>) -> Option<SocketAddr> {
    match way {
        Some(Way::Straight(socket)) if url.scheme() == "https" && socket.port() == 443 => {
            Some(SocketAddr::new(socket.ip(), PLAIN))
        }
        _ => None,
    }
}

/// Asks for a page by plain HTTP. A deployment promises the redirect; any other GitLab may leave the port closed.
pub(super) async fn check(target: &Target, at: SocketAddr, patience: Patience) -> Finding {
    let host = target.url.host_str().unwrap_or_default();
    let asked = format!("GET {PAGE} of {host} from {at}, without TLS");
    let question = Question::new(Check::Redirect, asked, format!("a redirect to `https://{host}`"));
    let instance = match plain(target, at) {
        Ok(instance) => instance,
        Err(why) => return question.answer(Err(Miss::skip(why, "see the URL and its CA"))),
    };
    let attempt = async |limit: Duration| match instance.get(PAGE, limit).await {
        Ok(answer) => judge(&answer, host).map(|saw| (saw, ())),
        Err(fault) => {
            let remedy = format!(
                "let users reach port {PLAIN}, and see that NGINX or the load balancer listens there"
            );
            let miss = Miss::fail(format!("port {PLAIN}: {fault}"), remedy);
            Err(if target.deployment.is_some() {
                miss.passing(fault.passing())
            } else {
                closed(&fault.to_string())
            })
        }
    };
    question.settle(patience, attempt).await.0
}

fn plain(target: &Target, at: SocketAddr) -> Result<Instance, String> {
    let mut url = target.url.clone();
    let changed = url.set_scheme("http").and_then(|()| url.set_port(Some(at.port())));
    changed.map_err(|()| "the URL can't be asked by plain HTTP".to_owned())?;
    let trust = Trust::new(target.ca_pem.as_deref()).map_err(|error| error.to_string())?;
    Instance::new(url, &[at], &trust).map_err(|error| error.to_string())
}

fn closed(why: &str) -> Miss {
    Miss::skip(format!("port {PLAIN}: {why}"), "nothing, if it is meant to be closed")
}

fn judge(answer: &Answer, host: &str) -> Result<String, Miss> {
    let to = answer.location.as_deref().unwrap_or_default();
    let leads = Url::parse(to).is_ok_and(|to| to.scheme() == "https" && to.host_str() == Some(host));
    match answer.status {
        301 | 302 | 307 | 308 if leads => Ok(format!("{}, to `{to}`", answer.status)),
        200 => Err(Miss::fail(
            "200, a page without TLS",
            "let NGINX redirect: `nginx['redirect_http_to_https']`, or `settings` that took it away",
        )),
        status => Err(page::unexpected(status, PAGE, answer.location.as_deref())),
    }
}

#[cfg(test)]
mod tests {
    use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

    use super::super::question::tests::IMPATIENT;
    use super::super::verify::tests::target;
    use super::*;
    use crate::events::Status;
    use crate::instance::testing::closed_port;

    const URL: &str = "https://gitlab.acme.example";

    async fn asked(response: ResponseTemplate) -> Finding {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(response).mount(&server).await;
        check(&target(URL), *server.address(), IMPATIENT).await
    }

    fn leading(to: &str) -> ResponseTemplate {
        ResponseTemplate::new(301).insert_header("location", to)
    }

    #[tokio::test]
    async fn passes_on_a_redirect_to_the_same_name() {
        let finding = asked(leading("https://gitlab.acme.example/users/sign_in")).await;
        assert_eq!(
            (finding.status, finding.saw.as_str()),
            (Status::Pass, "301, to `https://gitlab.acme.example/users/sign_in`")
        );
    }

    #[tokio::test]
    async fn fails_on_another_place_a_page_and_a_closed_port() {
        for (response, words) in [
            (leading("http://gitlab.acme.example/users/sign_in"), "a redirect to `http://"),
            (leading("https://other.example/"), "a redirect to `https://other.example/`"),
            (ResponseTemplate::new(200), "200, a page without TLS"),
            (ResponseTemplate::new(404), "404"),
        ] {
            let finding = asked(response).await;
            assert_eq!(finding.status, Status::Fail, "{finding:?}");
            assert!(finding.saw.contains(words), "{} lacks {words}", finding.saw);
        }
        let finding = check(&target(URL), closed_port().await, IMPATIENT).await;
        assert_eq!(finding.status, Status::Fail);
        assert!(finding.saw.starts_with("port 80: "), "{}", finding.saw);
    }

    #[tokio::test]
    async fn skips_where_nobody_promised_it() {
        let unknown = Target { deployment: None, ..target(URL) };
        let finding = check(&unknown, closed_port().await, IMPATIENT).await;
        assert_eq!(finding.status, Status::Skip);
    }

    #[test]
    fn it_has_a_place_beside_the_usual_port_alone() {
        let at = |url: &str, socket: &str| {
            let way = Way::from(socket.parse::<SocketAddr>().unwrap());
            place(&url.parse().unwrap(), Some(&way)).map(|place| place.to_string())
        };
        assert_eq!(at(URL, "198.18.4.9:443").as_deref(), Some("198.18.4.9:80"));
        assert_eq!(at("https://gitlab.acme.example:8443", "198.18.4.9:8443"), None);
        assert_eq!(at("http://gitlab.acme.example", "198.18.4.9:80"), None);
        assert_eq!(place(&URL.parse().unwrap(), None), None);
    }
}
