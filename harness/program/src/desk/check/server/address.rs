//! The addresses of pg_hba.conf.

use std::net::IpAddr;

/// The addresses that a line is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Address {
    /// Any.
    All,
    /// A network.
    Network(IpAddr, u8),
    /// `samehost`, `samenet`, or the name of a host: which ones, only the server knows.
    Unknown(String),
    /// None: a line for Unix sockets.
    Local,
}

impl Address {
    /// Reads an address, with the mask of the next field if it has one.
    pub(super) fn read(text: &str, mask: Option<&str>) -> Self {
        if text == "all" {
            return Self::All;
        }
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let Ok(address) = address.parse::<IpAddr>() else { return Self::Unknown(text.to_owned()) };
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let of_mask = mask.and_then(|mask| mask.parse::<IpAddr>().ok()).map(ones);
        Self::Network(address, bits.and_then(|bits| bits.parse().ok()).or(of_mask).unwrap_or(whole))
    }

    /// Whether each address of another is one of these.
    pub(in super::super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, other) => *other != Self::Local,
            (Self::Network(net, bits), Self::Network(other, narrower)) => {
                net.is_ipv4() == other.is_ipv4() && narrower >= bits && prefix(*net, *bits) == prefix(*other, *bits)
            }
            (Self::Unknown(one), Self::Unknown(other)) => one == other,
            _ => false,
        }
    }

    /// Whether it is any address, of one family at least: `all`, `0.0.0.0/0`, `::/0`.
    pub(in super::super) fn is_any(&self) -> bool {
        matches!(self, Self::All | Self::Network(_, 0))
    }

    /// Whether only this machine is meant.
    pub(in super::super) fn is_loopback(&self) -> bool {
        match self {
            Self::Network(IpAddr::V4(address), bits) => address.is_loopback() && *bits >= 8,
            Self::Network(IpAddr::V6(address), bits) => address.is_loopback() && *bits == 128,
            Self::Unknown(name) => name == "samehost" || name == "localhost",
            Self::Local => true,
            Self::All => false,
        }
    }

    /// Whether an address is one of these; `None` if only the server knows.
    pub(in super::super) fn has(&self, address: IpAddr) -> Option<bool> {
        match self {
            Self::Unknown(_) => None,
            Self::Local => Some(false),
            known => {
                let whole = if address.is_ipv4() { 32 } else { 128 };
                Some(known.covers(&Self::Network(address, whole)))
            }
        }
    }
}

fn bits_of(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

fn prefix(address: IpAddr, bits: u8) -> u128 {
    let (value, width) = bits_of(address);
    value.checked_shr(width - u32::from(bits).min(width)).unwrap_or(0)
}

fn ones(mask: IpAddr) -> u8 {
    u8::try_from(bits_of(mask).0.count_ones()).unwrap_or(128)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("all", None, "10.1.2.3/32", true)]
    #[case("10.0.0.0/8", None, "10.1.0.0/16", true)]
    #[case("10.0.0.0", Some("255.0.0.0"), "10.1.0.0/16", true)]
    #[case("0.0.0.0/0", None, "192.168.0.0/16", true)]
    #[case("0.0.0.0/0", None, "::1/128", false)]
    #[case("10.1.0.0/16", None, "10.0.0.0/8", false)]
    #[case("10.0.0.0/8", None, "all", false)]
    #[case("samenet", None, "samenet", true)]
    fn an_address_covers_another(
        #[case] one: &str,
        #[case] mask: Option<&str>,
        #[case] other: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(Address::read(one, mask).covers(&Address::read(other, None)), expected);
    }
}
