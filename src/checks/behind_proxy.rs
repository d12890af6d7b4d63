//! DNS and TCP where a proxy stands between: it resolves the name, and opens the way.

use std::time::Duration;

use super::catalogue::Check;
use super::question::{Miss, Patience, Question};
use crate::events::Finding;
use crate::instance::{Proxied, Way};

/// The findings of both checks, and the way once it is open.
pub(super) async fn check(proxied: Proxied, patience: Patience) -> ([Finding; 2], Option<Way>) {
    let reason = Miss::skip(
        format!("the proxy resolves the name, and not this machine: {proxied}"),
        "add the host to `NO_PROXY` to ask it straight",
    );
    let dns = Question::new(Check::Dns, "this machine's resolver", "an address").answer(Err(reason));
    let way = Way::Through(proxied);
    let question = Question::new(Check::Tcp, format!("a connection to {way}"), "a connection");
    let attempt = async |limit: Duration| {
        match way.try_out(limit).await {
        Ok(()) => Ok((format!("{way} answers"), ())),
        Err(fault) => Err(Miss::fail(
            fault.to_string(),
            "see whether the proxy of `HTTPS_PROXY` or `HTTP_PROXY` may reach GitLab, or exempt the host in `NO_PROXY`",
        )
        .passing(fault.passing())),
    }
    };
    let (tcp, open) = question.settle(patience, attempt).await;
    ([dns, tcp], open.map(|()| way))
}

/// The findings where the environment names a proxy that can't be used.
pub(super) fn unusable(why: &str) -> [Finding; 2] {
    let miss = || {
        Miss::fail(why, "write it as `http://HOST:PORT`, or ask without it: `env -u HTTPS_PROXY refarch …`")
    };
    let tcp = Question::new(Check::Tcp, "a connection through the proxy of the environment", "a connection");
    let dns = Question::new(Check::Dns, "this machine's resolver", "an address");
    [dns.answer(Err(Miss::skip("the environment names a proxy", "see `tcp`"))), tcp.answer(Err(miss()))]
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::super::question::tests::IMPATIENT;
    use super::*;
    use crate::events::Status;
    use crate::instance::testing::{TlsServer, closed_port};

    async fn through(proxy: std::net::SocketAddr) -> ([Finding; 2], Option<Way>) {
        let proxy = format!("http://{proxy}");
        let url = Url::parse("https://gitlab.acme.example").unwrap();
        let found = Proxied::from_environment(&url, |name| (name == "https_proxy").then_some(proxy.as_str()));
        check(found.unwrap().unwrap(), IMPATIENT).await
    }

    #[tokio::test]
    async fn passes_when_the_proxy_opens_the_way_and_leaves_the_name_to_it() {
        let proxy = TlsServer::plain("HTTP/1.1 200 OK\r\n\r\n").await;
        let ([dns, tcp], way) = through(proxy.address).await;
        assert_eq!((dns.status, tcp.status, way.is_some()), (Status::Skip, Status::Pass, true), "{tcp:?}");
    }

    #[tokio::test]
    async fn fails_when_the_proxy_is_not_there_or_can_not_be_used() {
        let ([_, tcp], way) = through(closed_port().await).await;
        assert_eq!((tcp.status, way), (Status::Fail, None));
        let [dns, tcp] = unusable("the variable `https_proxy` holds no `http://` URL of a proxy");
        assert_eq!((dns.status, tcp.status), (Status::Skip, Status::Fail));
    }
}
