//! Addresses: the subnet that agent and egress share, and exceptions from pipelock's address guard.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use sha2::{Digest, Sha256};

use crate::text::diagnostic::Problem;
use crate::text::schema::TextForm;
use crate::value::name::BottleName;

/// What a bottle's network looks like, for the schema. [`Subnet::parse`] says more.
pub const SUBNET_FORM: TextForm =
    TextForm { pattern: r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/24$", says: "write a range such as `10.200.7.0/24`" };

/// A private IPv4 /24. The first address is the engine's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subnet(Ipv4Net);

impl Subnet {
    /// Reads `a.b.c.0/24`.
    ///
    /// # Errors
    /// Anything but a /24 in one of RFC 1918's ranges, without host bits.
    pub fn parse(text: &str) -> Result<Subnet, Problem> {
        let help = SUBNET_FORM.says;
        let Ok(net) = text.parse::<Ipv4Net>() else {
            return Err(Problem::new("not a valid IPv4 range", help));
        };
        if net.prefix_len() != 24 {
            return Err(Problem::new(
                format!("the bottle's network must be a /24; this is a /{}", net.prefix_len()),
                help,
            ));
        }
        if net.addr() != net.network() {
            return Err(Problem::new("the range has host bits set", format!("write `{}`", net.trunc())));
        }
        if !net.addr().is_private() {
            return Err(Problem::new(
                "the range is not private",
                "use one in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16",
            ));
        }
        Ok(Subnet(net))
    }

    /// The subnet of a bottle that names none: one of 16,384 between 10.192.0.0 and 10.255.255.0,
    /// by the hash of its name. Away from the ranges that container engines and home routers take.
    pub fn of_name(name: &BottleName) -> Subnet {
        Subnet::of_key(name.as_str())
    }

    /// One of the same by the hash of a text.
    pub fn of_key(key: &str) -> Subnet {
        let hash = Sha256::digest(key);
        let address = Ipv4Addr::new(10, 192 | (hash[0] & 63), hash[1], 0);
        Subnet(Ipv4Net::new_assert(address, 24))
    }

    /// The range, `a.b.c.0/24`.
    pub fn range(self) -> Ipv4Net {
        self.0
    }

    /// The first three numbers of each address in it, with the dots between them.
    pub fn prefix(self) -> String {
        let [a, b, c, _] = self.0.network().octets();
        format!("{a}.{b}.{c}")
    }

    /// The address with this last number.
    pub fn address(self, last: u8) -> Ipv4Addr {
        let [a, b, c, _] = self.0.network().octets();
        Ipv4Addr::new(a, b, c, last)
    }
}

/// Reads a range for `ssrf_ip_allowlist`.
///
/// # Errors
/// What pipelock refuses (`/0`, host bits) and what no bottle should except: ranges that hold
/// link-local addresses or a cloud's metadata service.
pub fn parse_ssrf_exception(text: &str) -> Result<IpNet, Problem> {
    let Ok(net) = text.parse::<IpNet>() else {
        let help = match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => format!("write `{text}/32`"),
            Ok(IpAddr::V6(_)) => format!("write `{text}/128`"),
            Err(_) => "write a range such as `10.20.0.0/16`".to_owned(),
        };
        let one = text.parse::<IpAddr>().ok().map(|address| IpNet::from(address).to_string());
        let one = one.filter(|one| parse_ssrf_exception(one).is_ok());
        return Err(Problem::new("not a valid CIDR range", help).instead(one));
    };
    if net.prefix_len() == 0 {
        return Err(Problem::new("a /0 would allow every address", "use the range that the host's address is in"));
    }
    if net.addr() != net.network() {
        return Err(Problem::new("the range has host bits set", format!("write `{}`", net.trunc())));
    }
    for forbidden in forbidden_exceptions() {
        if forbidden.contains(&net) || net.contains(&forbidden) {
            return Err(Problem::new(
                format!("the range includes {forbidden}: link-local addresses or a cloud's metadata service"),
                "use a smaller range that excludes it",
            ));
        }
    }
    Ok(net)
}

/// Link-local ranges, and the metadata addresses of AWS (IPv6), Alibaba and Oracle that lie outside them.
fn forbidden_exceptions() -> [IpNet; 6] {
    let v4 = |a, b, c, d, prefix| IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix));
    let v6 = |segments: [u16; 8], prefix| IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from(segments), prefix));
    [
        v4(169, 254, 0, 0, 16),
        v4(100, 100, 100, 200, 32),
        v4(192, 0, 0, 192, 32),
        v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
        v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128),
        v6([0, 0, 0, 0, 0, 0xffff, 0xa9fe, 0], 112),
    ]
}
