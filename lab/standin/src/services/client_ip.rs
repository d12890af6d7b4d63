//! Whose request it is: the rightmost address in `X-Forwarded-For` that isn't a trusted proxy's, as Rack
//! decides it. What a client writes into the header itself stands further left and doesn't count.

use std::net::IpAddr;

use ipnet::IpNet;

/// The client's address.
#[must_use]
pub fn client_ip<'h>(peer: IpAddr, forwarded: impl Iterator<Item = &'h str>, trusted: &[IpNet]) -> IpAddr {
    let is_trusted =
        |address: &IpAddr| address.is_loopback() || trusted.iter().any(|net| net.contains(address));
    if !is_trusted(&peer) {
        return peer;
    }
    let hops: Vec<IpAddr> =
        forwarded.flat_map(|value| value.split(',')).filter_map(|hop| hop.trim().parse().ok()).collect();
    let outermost = hops.iter().rev().find(|hop| !is_trusted(hop));
    outermost.or(hops.first()).copied().unwrap_or(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: &str = "127.0.0.1";

    fn decide(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().expect("a network")).collect();
        let peer = peer.parse().expect("an address");
        client_ip(peer, forwarded.iter().copied(), &trusted).to_string()
    }

    #[test]
    fn the_nearest_stranger_counts() {
        assert_eq!(decide(LOCAL, &["198.18.0.1, 127.0.0.1"], &[]), "198.18.0.1");
        assert_eq!(decide(LOCAL, &["127.0.0.1, 198.18.0.1"], &[]), "198.18.0.1");
        assert_eq!(decide(LOCAL, &["203.0.113.9, 198.18.0.7"], &["198.18.0.0/15"]), "203.0.113.9");
    }

    #[test]
    fn without_strangers_it_is_the_node_itself() {
        assert_eq!(decide(LOCAL, &["127.0.0.1"], &[]), LOCAL);
        assert_eq!(decide(LOCAL, &[], &[]), LOCAL);
    }

    #[test]
    fn a_stranger_s_header_is_not_read() {
        assert_eq!(decide("198.18.0.1", &["127.0.0.1"], &[]), "198.18.0.1");
    }
}
