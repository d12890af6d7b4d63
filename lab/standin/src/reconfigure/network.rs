//! What the machine itself knows of its place in the network.

use std::net::{ToSocketAddrs as _, UdpSocket};

use crate::site::Site;

/// The host's name, by which Consul and Patroni know the node.
#[must_use]
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

/// The address by which other nodes reach this one: what gitlab.rb says, else the one from which the kernel
/// would send to the Consul servers. Connecting a datagram socket sends nothing.
#[must_use]
pub fn own_address(site: &Site) -> String {
    let said = site.patroni.connect_address.clone().or_else(|| site.consul.bind_address.clone());
    let towards = |peer: &String| {
        let peer = (peer.as_str(), 8301).to_socket_addrs().ok()?.next()?;
        let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
        socket.connect(peer).ok()?;
        Some(socket.local_addr().ok()?.ip().to_string())
    };
    said.or_else(|| site.consul.join.iter().find_map(towards)).unwrap_or_else(|| "127.0.0.1".to_owned())
}
