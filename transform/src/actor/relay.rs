//! The addresses Apple fetches pictures from for Mail Privacy Protection.
//!
//! Owns one invariant: text that is no IP address is from nowhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Blocks the egress of Apple's relays is in: Apple's own, and the parts of its partners' networks that its published
/// list ("iCloud Private Relay egress IP ranges") draws on. The list itself has hundreds of thousands of
/// lines, changes weekly, and is rounded up to whole blocks here; the agent has to fit as well, so the
/// partners' other customers are not caught.
const V4_BLOCKS: [(Ipv4Addr, u32); 6] = [
    // Apple
    (Ipv4Addr::new(17, 0, 0, 0), 8),
    (Ipv4Addr::new(139, 178, 128, 0), 18),
    // Cloudflare
    (Ipv4Addr::new(104, 28, 0, 0), 16),
    // Fastly
    (Ipv4Addr::new(140, 248, 0, 0), 16),
    (Ipv4Addr::new(146, 75, 0, 0), 16),
    // Akamai
    (Ipv4Addr::new(172, 224, 0, 0), 12),
];

const V6_BLOCKS: [(Ipv6Addr, u32); 6] = [
    // Apple
    (Ipv6Addr::new(0x2620, 0x149, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2a01, 0xb740, 0, 0, 0, 0, 0, 0), 32),
    // Cloudflare
    (Ipv6Addr::new(0x2606, 0x54c0, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2a09, 0xbac0, 0, 0, 0, 0, 0, 0), 29),
    // Akamai
    (Ipv6Addr::new(0x2a02, 0x26f7, 0, 0, 0, 0, 0, 0), 32),
    // Fastly
    (Ipv6Addr::new(0x2a04, 0x4e41, 0, 0, 0, 0, 0, 0), 32),
];

/// Whether the address is in one of the blocks.
pub(super) fn is_apple(ip: &str) -> bool {
    let Ok(address) = ip.trim().parse::<IpAddr>() else { return false };
    match address.to_canonical() {
        IpAddr::V4(address) => V4_BLOCKS.iter().any(|(block, bits)| {
            // `bits` is between 1 and 32, so the shift stays below 32.
            (u32::from(address) ^ u32::from(*block)) >> (32 - bits) == 0
        }),
        IpAddr::V6(address) => V6_BLOCKS.iter().any(|(block, bits)| {
            // `bits` is between 1 and 128, so the shift stays below 128.
            (u128::from(address) ^ u128::from(*block)) >> (128 - bits) == 0
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::is_apple;

    #[test]
    fn blocks_end_where_they_end() {
        for ip in [
            "17.0.0.0",
            "17.255.255.255",
            "172.225.1.2",
            "172.239.255.255",
            "104.28.30.1",
            "::ffff:17.1.2.3",
            "2a02:26f7::1",
        ] {
            assert!(is_apple(ip), "{ip}");
        }
        for ip in [
            "16.255.255.255",
            "18.0.0.0",
            "172.240.0.0",
            "104.29.0.0",
            "2a02:26f8::1",
            "",
            "17.1.2",
            "apple",
            "17.1.2.3:443",
        ] {
            assert!(!is_apple(ip), "{ip}");
        }
    }
}
