//! Does the name lead to the deployment?

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use url::{Host, Url};

use super::catalogue::Check;
use super::question::{Miss, Patience, Question};
use super::target::Target;
use crate::events::Finding;

/// Looks the name up and says where to go on asking: the deployment's own address before what DNS says.
pub(super) async fn check(
    target: &Target,
    patience: Patience,
    lookup: impl AsyncFn(String) -> io::Result<Vec<IpAddr>>,
) -> (Finding, Vec<IpAddr>) {
    let host = target.url.host_str().unwrap_or_default().to_owned();
    let wanted = match target.address {
        Some(address) => format!("{address}, the deployment's address"),
        None => "at least one address".into(),
    };
    let question = Question::new(Check::Dns, format!("this machine's resolver for `{host}`"), wanted);
    if let Some(address) = literal(&target.url) {
        let miss = Miss::skip("the URL holds an address and no name", "use a name in the URL");
        return (question.answer(Err(miss)), vec![target.address.unwrap_or(address)]);
    }
    let attempt = async |limit: Duration| {
        let found = tokio::time::timeout(limit, lookup(host.clone())).await;
        let found = found.map_err(|_| silent(target, limit))?;
        judge(target, &host, found).map(|found| (listed(&found), found))
    };
    let (finding, found) = question.settle(patience, attempt).await;
    let addresses = target.address.map_or_else(|| found.unwrap_or_default(), |address| vec![address]);
    (finding, addresses)
}

/// Asks the resolver that every other program on this machine uses.
pub(super) async fn system(host: String) -> io::Result<Vec<IpAddr>> {
    let mut found: Vec<_> = tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn judge(target: &Target, host: &str, found: io::Result<Vec<IpAddr>>) -> Result<Vec<IpAddr>, Miss> {
    let unresolved = |why: String| match target.address {
        Some(address) => Miss::warn(format!("{why}; {address} was asked instead"), add(host, address)),
        None => Miss::fail(why, format!("add an A record for `{host}`, or check the name in the URL")),
    };
    let found = found.map_err(|error| unresolved(format!("no address: {error}")))?;
    if found.is_empty() {
        return Err(unresolved("no address".into()));
    }
    let Some(address) = target.address else { return Ok(found) };
    let remedy = format!("let the record of `{host}` hold {address} and nothing else");
    if !found.contains(&address) {
        if target.deployment.is_none() {
            // Whoever gives an address beside a URL knows that DNS leads elsewhere, as before a move.
            let saw = format!("{}; {address} was asked instead", listed(&found));
            return Err(Miss::warn(saw, remedy));
        }
        let saw = format!("{}, which is not the deployment", listed(&found));
        return Err(Miss::fail(saw, format!("{remedy}; if a proxy stands before it, ask the proxy's owner")));
    }
    if found.iter().any(|other| *other != address && other.is_ipv4() == address.is_ipv4()) {
        return Err(Miss::warn(format!("{}: some clients get to another machine", listed(&found)), remedy));
    }
    Ok(found)
}

fn silent(target: &Target, limit: Duration) -> Miss {
    let instead = target.address.map(|address| format!("; {address} was asked instead")).unwrap_or_default();
    let reason = format!("the resolver gave no answer within {} s{instead}", limit.as_secs());
    Miss::skip(reason, "see which resolver `/etc/resolv.conf` names and whether it answers")
}

fn add(host: &str, address: IpAddr) -> String {
    let record = if address.is_ipv4() { "A" } else { "AAAA" };
    format!(
        "add the record `{host}. {record} {address}` to your DNS, or the line `{address} {host}` to `/etc/hosts`"
    )
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

fn listed(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::verify::tests::target;
    use super::*;
    use crate::events::Status;

    async fn answer(target: &Target, found: &[&str]) -> (Finding, Vec<IpAddr>) {
        let found: Vec<IpAddr> = found.iter().map(|address| address.parse().unwrap()).collect();
        check(target, Patience::default(), async |_| Ok(found.clone())).await
    }

    fn at(address: &str) -> Target {
        Target { address: Some(address.parse().unwrap()), ..target("https://gitlab.acme.example") }
    }

    #[tokio::test]
    async fn passes_when_the_name_leads_to_the_deployment() {
        let (finding, addresses) = answer(&at("198.18.4.2"), &["198.18.4.2"]).await;
        assert_eq!((finding.status, finding.saw.as_str()), (Status::Pass, "198.18.4.2"));
        assert_eq!(addresses, ["198.18.4.2".parse::<IpAddr>().unwrap()]);
        let (finding, _) = answer(&at("198.18.4.2"), &["198.18.4.2", "fd00::2"]).await;
        assert_eq!(finding.status, Status::Pass, "an address of the other family is no second machine");
    }

    #[tokio::test]
    async fn fails_when_the_name_leads_elsewhere() {
        let (finding, addresses) = answer(&at("198.18.4.2"), &["203.0.113.9"]).await;
        assert_eq!(finding.status, Status::Fail);
        assert!(finding.saw.contains("203.0.113.9"), "{}", finding.saw);
        assert_eq!(
            addresses,
            ["198.18.4.2".parse::<IpAddr>().unwrap()],
            "the deployment is asked all the same"
        );
    }

    #[tokio::test]
    async fn warns_when_only_some_clients_get_there() {
        let (finding, _) = answer(&at("198.18.4.2"), &["198.18.4.2", "203.0.113.9"]).await;
        assert_eq!(finding.status, Status::Warn);
    }

    #[tokio::test]
    async fn warns_with_the_record_to_add_when_the_name_is_unknown() {
        let unknown = async |_| Err(io::Error::other("Name or service not known"));
        let (finding, addresses) = check(&at("198.18.4.2"), Patience::default(), unknown).await;
        assert_eq!(finding.status, Status::Warn);
        assert_eq!(finding.saw, "no address: Name or service not known; 198.18.4.2 was asked instead");
        assert!(finding.remedy.unwrap().contains("`gitlab.acme.example. A 198.18.4.2`"));
        assert_eq!(addresses.len(), 1);
    }

    #[tokio::test]
    async fn fails_when_there_is_no_address_at_all() {
        let unknown = async |_| Err(io::Error::other("Name or service not known"));
        let target = target("https://gitlab.acme.example");
        let (finding, addresses) = check(&target, Patience::default(), unknown).await;
        assert_eq!((finding.status, addresses.len()), (Status::Fail, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn skips_when_the_resolver_is_silent() {
        let (finding, addresses) =
            check(&at("198.18.4.2"), Patience::default(), async |_| std::future::pending().await).await;
        assert_eq!((finding.status, addresses.len()), (Status::Skip, 1));
    }

    #[tokio::test]
    async fn skips_when_there_is_no_name() {
        let (finding, addresses) = answer(&target("https://198.18.4.2"), &[]).await;
        assert_eq!(finding.status, Status::Skip);
        assert_eq!(addresses, ["198.18.4.2".parse::<IpAddr>().unwrap()]);
    }
}
