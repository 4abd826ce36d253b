//! Whether an address answers ping, by the kernel's own sockets for it, which need no privilege where the host allows them
//! (`net.ipv4.ping_group_range`). A kernel that answers is alive and nothing more, so this proves nothing by itself.

use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket},
};
use std::{
    io,
    net::{IpAddr, UdpSocket},
    time::Duration,
};
use tokio::time::timeout;

/// What we send and want back, behind the eight bytes of the header.
const PAYLOAD: &[u8; 16] = b"millwright knock";
const HEADER: usize = 8;

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pinged {
    /// It answers.
    Answers,
    /// It does not, within the time.
    Silent,
    /// It could not be tried; for people.
    NotTried(String),
}

/// Sends one and waits for its answer.
pub async fn ping(address: IpAddr, patience: Duration) -> Pinged {
    match timeout(patience, exchange(address)).await {
        Ok(Ok(())) => Pinged::Answers,
        Err(_) => Pinged::Silent,
        Ok(Err(error)) => match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EACCES | Errno::EPERM) => Pinged::NotTried(
                "ping is not allowed here; `sysctl net.ipv4.ping_group_range` says to whom it is".to_owned(),
            ),
            Some(Errno::EHOSTUNREACH | Errno::ECONNREFUSED | Errno::EHOSTDOWN) => Pinged::Silent,
            _ => Pinged::NotTried(format!("ping {address}: {error}")),
        },
    }
}

async fn exchange(address: IpAddr) -> io::Result<()> {
    let (family, protocol, request, reply) = match address {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp, 8, 0),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6, 128, 129),
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    // It sends and receives datagrams as any such socket does.
    let socket = UdpSocket::from(socket(family, SockType::Datagram, flags, protocol)?);
    socket.connect((address, 0))?;
    let socket = tokio::net::UdpSocket::from_std(socket)?;
    let mut packet = [0; HEADER + PAYLOAD.len()];
    if let Some(kind) = packet.first_mut() {
        *kind = request;
    }
    // Identifier and checksum are the kernel's; the answers to others' never come to this socket.
    for (byte, given) in packet.iter_mut().skip(HEADER).zip(PAYLOAD) {
        *byte = *given;
    }
    socket.send(&packet).await?;
    let mut buffer = [0; 256];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let answer = buffer.get(..length).unwrap_or_default();
        if answer.first() == Some(&reply) && answer.get(HEADER..) == Some(PAYLOAD) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[tokio::test]
    async fn this_machine_answers_ping_where_that_is_allowed() {
        for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            match ping(address, Duration::from_secs(5)).await {
                Pinged::Answers => {}
                // Where it cannot be tried, that is said, and never taken for silence.
                Pinged::NotTried(why) => {
                    assert!(why.contains("not allowed here") || why.contains("ping ::1"), "{why}");
                    eprintln!("{address} was not pinged: {why}");
                }
                Pinged::Silent => panic!("{address} is silent"),
            }
        }
    }
}
