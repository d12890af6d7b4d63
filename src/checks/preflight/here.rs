//! Judgements about the machine that refarch runs on, and about what is given to it.

use std::io;
use std::net::IpAddr;

use crate::checks::question::Miss;

/// What a package file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageFile {
    /// Its name.
    pub name: String,
    /// Its version, with the package's own revision.
    pub version: String,
    /// The processor architecture it is for, by the name that its format has for it.
    pub architecture: String,
}

/// What a package has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedPackage {
    /// Its name.
    pub name: &'static str,
    /// Its version, with the package's own revision.
    pub version: String,
    /// The processor architectures of the nodes.
    pub architectures: Vec<&'static str>,
}

impl WantedPackage {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{} {} for {}", self.name, self.version, self.architectures.join(" and "))
    }
}

/// Reads what `dpkg-deb --show --showformat '${Package} ${Version} ${Architecture}'` prints.
#[must_use]
pub fn read_package(text: &str) -> Option<PackageFile> {
    let mut words = text.split_whitespace().map(ToOwned::to_owned);
    let found = PackageFile { name: words.next()?, version: words.next()?, architecture: words.next()? };
    words.next().is_none().then_some(found)
}

/// Is a package file what the nodes need?
pub(crate) fn package(found: &PackageFile, wanted: &WantedPackage) -> Result<String, Miss> {
    let saw = format!("{} {} for {}", found.name, found.version, found.architecture);
    if found.name != wanted.name {
        return Err(Miss::fail(
            saw,
            format!("name the file of the package `{}` in `gitlab.package`", wanted.name),
        ));
    }
    if found.version != wanted.version {
        let remedy = "name the package of the spec's version, or set `gitlab.version` to the package's";
        return Err(Miss::fail(saw, remedy));
    }
    let fits = |wanted: &str| ["all", wanted].contains(&found.architecture.as_str());
    if !wanted.architectures.iter().all(|wanted| fits(wanted)) {
        return Err(Miss::fail(saw, "name the package that was built for the nodes' processor"));
    }
    Ok(saw)
}

/// Does the name lead to the deployment? Only people need it: refarch itself asks the address.
pub(crate) fn dns(
    host: &str,
    found: &io::Result<Vec<IpAddr>>,
    wanted: Option<IpAddr>,
) -> Result<String, Miss> {
    let record = |address: IpAddr| {
        let kind = if address.is_ipv4() { "A" } else { "AAAA" };
        format!("add the record `{host}. {kind} {address}` to your DNS before people use GitLab")
    };
    let missing = || match wanted {
        Some(address) => record(address),
        None => format!("add a record for `{host}` to your DNS once the load balancer's address is known"),
    };
    let found = match found {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            let remedy = "see which resolver `/etc/resolv.conf` names and whether it answers";
            return Err(Miss::skip("the resolver gave no answer in time", remedy));
        }
        Err(error) => return Err(Miss::warn(format!("no address: {error}"), missing())),
        Ok(found) if found.is_empty() => return Err(Miss::warn("no address", missing())),
        Ok(found) => found,
    };
    let saw = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match wanted {
        Some(address) if !found.contains(&address) => {
            let remedy = format!(
                "let the record of `{host}` hold {address}, or, where a proxy stands before it or this is a move, leave it until then"
            );
            Err(Miss::warn(format!("{saw}, and the deployment is {address}"), remedy))
        }
        _ => Ok(saw),
    }
}

/// How much is free, in MiB, where the system tells; too little is an error of its own.
pub(crate) fn room(free: Option<u64>) -> Result<String, Miss> {
    match free {
        None => Err(Miss::skip("the system doesn't tell how much is free", "look with `df` by hand")),
        Some(free) => Ok(format!("{free} MiB are free")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::says;
    use super::*;

    fn wanted() -> WantedPackage {
        WantedPackage { name: "gitlab-ee", version: "18.11.2-ee.0".into(), architectures: vec!["amd64"] }
    }

    fn of(text: &str) -> String {
        says(&package(&read_package(text).unwrap(), &wanted()))
    }

    #[test]
    fn a_package_file_is_held_against_version_and_processor() {
        assert!(of("gitlab-ee 18.11.2-ee.0 amd64").starts_with("Pass"));
        insta::assert_snapshot!(
            [
                of("gitlab-ce 18.11.2-ce.0 amd64"),
                of("gitlab-ee 18.11.1-ee.0 amd64"),
                of("gitlab-ee 18.11.2-ee.0 arm64")
            ]
            .join("\n")
        );
        assert_eq!(read_package("dpkg-deb: error: not a Debian archive"), None);
        assert_eq!(read_package(""), None);
    }

    #[test]
    fn a_name_passes_warns_or_was_not_answered() {
        let address: IpAddr = "198.18.0.2".parse().unwrap();
        let other: IpAddr = "203.0.113.7".parse().unwrap();
        let dns = |found, wanted| says(&dns("gitlab.acme.example", &found, wanted));
        assert!(dns(Ok(vec![address]), Some(address)).starts_with("Pass"));
        assert!(dns(Ok(vec![address]), None).starts_with("Pass"));
        insta::assert_snapshot!(
            [
                dns(Ok(vec![other]), Some(address)),
                dns(Ok(vec![]), None),
                dns(Err(io::Error::other("Name or service not known")), Some(address)),
                dns(Err(io::ErrorKind::TimedOut.into()), Some(address)),
            ]
            .join("\n")
        );
    }

    #[test]
    fn room_is_there_or_is_not_told() {
        assert!(says(&room(Some(64))).starts_with("Pass"));
        insta::assert_snapshot!(says(&room(None)));
    }
}
