//! The values of a spec: what they take, what they refuse, how they are written back.

use proptest::prelude::*;
use proptest::string::string_regex;
use refarch::spec;
use refarch::spec::{Cidr, DeploymentName, ExternalUrl, GitlabVersion, PackageUrl, Sha256};

fn pattern(of: &str) -> String {
    let pattern = spec::schema()["$defs"][of]["pattern"].as_str().expect("a pattern").to_owned();
    pattern.trim_start_matches('^').trim_end_matches('$').to_owned()
}

#[test]
fn urls_are_written_back_without_what_goes_without_saying() {
    let of = |text: &str| text.parse::<ExternalUrl>().map(|url| (url.to_string(), url.port_or_default()));
    assert_eq!(of("https://git.example.com/"), Ok(("https://git.example.com".to_owned(), 443)));
    assert_eq!(of("https://git.example.com:443"), Ok(("https://git.example.com".to_owned(), 443)));
    assert_eq!(of("https://git.example.com:8443"), Ok(("https://git.example.com:8443".to_owned(), 8443)));
    assert_eq!(
        "https://git.example.com:8443".parse::<ExternalUrl>().expect("a URL").host(),
        "git.example.com"
    );
}

#[test]
fn urls_that_no_node_could_serve_are_refused() {
    for text in [
        "",
        "https://",
        "https:///",
        "https://a",
        "https://a.b:",
        "https://a.b:0",
        "https://a.b:65536",
        "https://a.b:+1",
        "https://.b",
        "https://a.",
        "https://a..b",
        "https://-a.b",
        "https://a-.b",
        "https://1.2",
        "https://0x7f.1",
        "https://a.b?x",
        "https://a.b#x",
        "https://a.b\\c",
        "https://u@a.b",
        "https://u:p@a.b",
        "https://a b.c",
        "ssh://a.b",
        "HTTPS://a.b",
        "https://[::1]:443",
        "https://a.b:1:2",
    ] {
        assert!(text.parse::<ExternalUrl>().is_err(), "`{text}` was taken");
    }
}

#[test]
fn versions_have_an_order_and_a_package() {
    let version = |text: &str| text.parse::<GitlabVersion>().expect("a version");
    assert!(version("18.9.10") < version("18.11.2") && version("18.11.2") < version("19.3.0"));
    assert_eq!(version("18.11.2").package_version(), "18.11.2-ee.0");
    for text in ["18.5.0", "18.11.0", "19.0.2", "19.3.9", "19.11.0"] {
        assert!(version(text).is_supported(), "{text}");
    }
    for text in ["17.11.9", "18.4.6", "18.12.0", "20.0.0"] {
        assert!(!version(text).is_supported(), "{text}");
    }
    for text in [
        "",
        "18",
        "18.11",
        "18.11.2.1",
        "18.11.02",
        "v18.11.2",
        "18.11.2-ee.0",
        "18..2",
        "99999.1.1",
        "１.2.3",
    ] {
        assert!(text.parse::<GitlabVersion>().is_err(), "`{text}` was taken");
    }
}

#[test]
fn networks_hold_their_addresses_and_no_others() {
    let cidr = |text: &str| text.parse::<Cidr>().expect("a network");
    let holds = |network: &str, address: &str| cidr(network).contains(address.parse().expect("an address"));
    assert!(holds("10.20.0.0/24", "10.20.0.255") && !holds("10.20.0.0/24", "10.20.1.0"));
    assert!(holds("0.0.0.0/0", "255.255.255.255") && !holds("0.0.0.0/0", "::1"));
    assert!(holds("fd00::/8", "fd12::1") && !holds("fd00::/8", "fe80::1"));
    assert!(holds("192.0.2.1/32", "192.0.2.1") && !holds("192.0.2.1/32", "192.0.2.2"));
    assert!(cidr("0.0.0.0/0").is_everyone() && cidr("::/0").is_everyone());
    for text in
        ["", "/", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "::/129", "10.1/16"]
    {
        assert!(text.parse::<Cidr>().is_err(), "`{text}` was taken");
    }
}

#[test]
fn package_addresses_know_their_file() {
    let url = |text: &str| text.parse::<PackageUrl>();
    assert_eq!(url("https://a.example/x/y.deb?z=1").expect("a URL").file_name(), Some("y.deb"));
    assert_eq!(url("https://a.example/x/").expect("a URL").file_name(), None);
    assert!(url("http://a.example/x").expect("a URL").is_plain_http());
    for text in
        ["", "x.deb", "file:///x.deb", "https://me@a.example/x", "https://me:pw@a.example/x", "data:,x"]
    {
        assert!(url(text).is_err(), "`{text}` was taken");
    }
}

proptest! {
    #[test]
    fn what_the_schema_promises_is_taken(
        name in string_regex(&pattern("DeploymentName")).expect("a pattern"),
        version in string_regex(&pattern("GitlabVersion")).expect("a pattern"),
        sha256 in string_regex(&pattern("Sha256")).expect("a pattern"),
    ) {
        prop_assume!(name.len() <= 30 && version.rsplit('.').next().is_some_and(|patch| patch.len() <= 4));
        prop_assert_eq!(name.parse::<DeploymentName>().expect("a name").to_string(), name);
        let parsed = version.parse::<GitlabVersion>().expect("a version");
        prop_assert!(parsed.is_supported());
        prop_assert_eq!(parsed.to_string(), version);
        prop_assert_eq!(sha256.parse::<Sha256>().expect("digits").to_string(), sha256.to_lowercase());
    }

    #[test]
    fn a_value_that_is_taken_reads_back_as_itself(text in "\\PC{0,40}|https://[a-zA-Z0-9.:/-]{0,20}|[0-9a-f.:/]{0,20}") {
        if let Ok(url) = text.parse::<ExternalUrl>() {
            prop_assert_eq!(url.to_string().parse::<ExternalUrl>(), Ok(url.clone()));
            let lenient = url::Url::parse(url.as_str()).expect("any URL library reads it");
            prop_assert_eq!(lenient.host_str(), Some(url.host()));
        }
        if let Ok(cidr) = text.parse::<Cidr>() {
            prop_assert_eq!(cidr.to_string().parse::<Cidr>(), Ok(cidr));
        }
        if let Ok(url) = text.parse::<PackageUrl>() {
            prop_assert_eq!(url.to_string().parse::<PackageUrl>(), Ok(url));
        }
    }
}
