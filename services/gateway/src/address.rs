//! Where callers come from: which proxies are believed, and how many connections an address may have.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use axum::extract::ConnectInfo;
use http::{Extensions, HeaderMap};
use ipnet::{IpNet, Ipv6Net};

const FORWARDED: &str = "x-forwarded-for";

/// Knows the trusted proxies and counts the connections of each address.
#[derive(Clone)]
pub struct Addresses(Arc<Book>);

struct Book {
    proxies: Vec<IpNet>,
    most: usize,
    most_unread: usize,
    counts: Mutex<HashMap<String, usize>>,
    unread: Mutex<HashMap<String, usize>>,
}

/// Bytes of an answer that wait for their reader at an address; given back on drop.
pub(crate) struct Unread {
    addresses: Addresses,
    address: String,
    bytes: usize,
}

/// One connection's place among those of its address; freed on drop.
pub struct Seat(Option<(Addresses, String)>);

impl Addresses {
    /// Trusts the listed proxies (addresses or networks) and allows every other address `most` connections at a time, and
    /// to leave so many bytes of answers unread; 0 is no limit.
    pub fn new(proxies: &[String], most: usize, most_unread: usize) -> Result<Addresses, String> {
        let read = |text: &String| {
            let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| format!("trusted_proxies: {text:?} is no address or network"))
        };
        let proxies = proxies.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Addresses(Arc::new(Book { proxies, most, most_unread, counts: Mutex::default(), unread: Mutex::default() })))
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.0.proxies.iter().any(|network| network.contains(&address))
    }

    /// A place for a connection from `peer`; none if its address has too many. Proxies bring many callers.
    #[must_use]
    pub fn enter(&self, peer: IpAddr) -> Option<Seat> {
        let peer = peer.to_canonical();
        if self.trust(peer) { Some(Seat(None)) } else { self.seat(rated(peer)) }
    }

    /// The same for a caller whose address is known.
    pub(crate) fn seat(&self, address: String) -> Option<Seat> {
        if self.0.most == 0 {
            return Some(Seat(None));
        }
        let mut counts = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address.clone()).or_default();
        if *count >= self.0.most {
            return None;
        }
        *count += 1;
        Some(Seat(Some((self.clone(), address))))
    }

    /// Counts an answer's bytes as unread; none where the address has so many waiting already that it should read first.
    /// One answer alone is never too much.
    pub(crate) fn unread(&self, address: &str, bytes: usize) -> Option<Unread> {
        let mut unread = self.0.unread.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = unread.get(address).copied().unwrap_or_default();
        if self.0.most_unread > 0 && waiting > 0 && waiting.saturating_add(bytes) > self.0.most_unread {
            return None;
        }
        unread.insert(address.to_owned(), waiting + bytes);
        Some(Unread { addresses: self.clone(), address: address.to_owned(), bytes })
    }

    /// Whether an address has read what it was answered, but for what it may leave lying.
    pub(crate) fn reads(&self, address: &str) -> bool {
        let unread = self.0.unread.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.most_unread == 0 || unread.get(address).is_none_or(|waiting| *waiting < self.0.most_unread)
    }

    /// The caller's address, as it is rated: that of the connection or, behind trusted proxies, the last one in
    /// `X-Forwarded-For` that is not theirs. What stands before it anybody could have written.
    pub(crate) fn caller(&self, extensions: &Extensions, headers: &HeaderMap) -> String {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let mut address = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).to_canonical();
        let lines = headers.get_all(FORWARDED).iter().rev();
        let mut hops = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
        while self.trust(address)
            && let Some(hop) = hops.next().and_then(|hop| read(hop.trim()))
        {
            address = hop;
        }
        rated(address)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((addresses, address)) = self.0.take() else { return };
        let mut counts = addresses.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let mut unread = self.addresses.0.unread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = unread.get_mut(&self.address) {
            *waiting -= self.bytes;
            if *waiting == 0 {
                unread.remove(&self.address);
            }
        }
    }
}

/// An address with or without a port, as proxies write it.
fn read(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse::<IpAddr>().ok().or_else(|| Some(hop.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

/// An IPv6 caller has a whole network of addresses: it is known by its first 64 bits.
fn rated(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => Ipv6Net::new_assert(address, 64).trunc().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that an address may leave unread.
    const MOST: usize = 1_000;

    fn addresses(proxies: &[&str]) -> Addresses {
        Addresses::new(&proxies.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), 2, MOST).unwrap()
    }

    fn caller(addresses: &Addresses, peer: &str, forwarded: &[&'static str]) -> String {
        let headers = forwarded.iter().map(|line| (FORWARDED.parse().unwrap(), line.parse().unwrap())).collect();
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        addresses.caller(&extensions, &headers)
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let known = addresses(&["10.0.0.0/8", "fd00::1"]);
        for (peer, forwarded, expected) in [
            ("203.0.113.7", &["198.51.100.1"][..], "203.0.113.7"),
            ("10.1.1.1", &[], "10.1.1.1"),
            ("10.1.1.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.1.1.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            // The caller's own lies stand further left.
            ("10.1.1.1", &["6.6.6.6, 198.51.100.1, 10.2.2.2"], "198.51.100.1"),
            ("10.1.1.1", &["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
            ("fd00::1", &["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
            ("10.1.1.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("10.1.1.1", &["[2001:db8::9]:80"], "2001:db8::/64"),
            ("10.1.1.1", &["[2001:db8::9]"], "2001:db8::/64"),
            // Whatever is no address ends the search at the last believed hop.
            ("10.1.1.1", &["198.51.100.1, unknown"], "10.1.1.1"),
            ("10.1.1.1", &["unknown, 10.2.2.2"], "10.2.2.2"),
        ] {
            assert_eq!(caller(&known, peer, forwarded), expected, "{peer} {forwarded:?}");
        }
        assert_eq!(caller(&addresses(&[]), "10.1.1.1", &["198.51.100.1"]), "10.1.1.1");
        assert!(Addresses::new(&["proxy.example".into()], 1, 0).is_err());
    }

    #[test]
    fn an_address_reads_before_it_is_answered_more() {
        let known = addresses(&[]);
        let first = known.unread("a", 2 * MOST);
        assert!(first.is_some(), "one answer is never too much");
        assert!(!known.reads("a") && known.reads("b"));
        assert!(known.unread("a", 1).is_none() && known.unread("b", 1).is_some());
        drop(first);
        let halves = [known.unread("a", MOST / 2), known.unread("a", MOST / 2), known.unread("a", 1)];
        assert_eq!(halves.map(|half| half.is_some()), [true, true, false]);
        assert!(known.0.unread.lock().unwrap().is_empty(), "nobody is remembered");
    }

    #[test]
    fn an_address_has_so_many_connections_and_a_proxy_any() {
        let known = addresses(&["10.0.0.0/8"]);
        let enter = |peer: &str| known.enter(peer.parse().unwrap());
        let seats = [enter("2001:db8::1"), enter("2001:db8::2"), enter("2001:db8:0:1::1")];
        assert!(seats.iter().all(Option::is_some));
        assert!(enter("2001:db8::3").is_none());
        drop(seats);
        assert!(enter("2001:db8::3").is_some());
        assert!(known.0.counts.lock().unwrap().is_empty(), "nobody is remembered");
        let crowd: Vec<_> = (0..10).map(|_| enter("10.1.1.1")).collect();
        assert!(crowd.iter().all(Option::is_some));
    }
}
