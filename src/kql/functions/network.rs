//! IP addresses as text: alone, or with a prefix as `192.168.0.0/16`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Function, Naming, nulls, row};
use crate::kql::json::{self, Json};
use crate::kql::value::Value;

pub(crate) fn table() -> Vec<Function> {
    let none = Naming::None;
    let compared = "string, string, long? -> long";
    let matched = "string, string, long? -> bool";
    let in_any = "text, string+ -> bool; text, dynamic -> bool";
    let mut all = vec![
        row("ipv4_compare", compared, none, |a| compare(a, V4)),
        row("ipv6_compare", compared, none, |a| compare(a, V6)),
        row("ipv4_is_match", matched, none, |a| same(a, V4)),
        row("ipv6_is_match", matched, none, |a| same(a, V6)),
        row("ipv4_is_in_range", "string, string -> bool", none, |a| {
            same(a, V4)
        }),
        row("ipv6_is_in_range", "string, string -> bool", none, |a| {
            same(a, V6)
        }),
        row("ipv4_is_in_any_range", in_any, none, |a| {
            in_any_range(a, V4)
        }),
        row("ipv6_is_in_any_range", in_any, none, |a| {
            in_any_range(a, V6)
        }),
        row("ipv4_is_private", "string -> bool", none, |a| {
            v4(a[0].text())
                .map(|net| is_private(net.bits as u32))
                .into()
        }),
        row("ipv4_netmask_suffix", "string -> long", none, |a| {
            v4(a[0].text()).map(|net| i64::from(net.prefix)).into()
        }),
        row(
            "ipv4_range_to_cidr_list",
            "string, string -> dynamic",
            none,
            cidr_list,
        ),
        row("parse_ipv4", "string -> long", none, |a| {
            v4(a[0].text())
                .map(|net| net.masked(net.prefix, V4) as i64)
                .into()
        }),
        row("parse_ipv4_mask", "string, long -> long", none, |a| {
            masked(a, V4).map(|(bits, _)| bits as i64).into()
        }),
        row("parse_ipv6", "string -> string", none, |a| {
            v6(a[0].text())
                .map(|net| canonical(net.masked(net.prefix, V6)))
                .into()
        }),
        row("parse_ipv6_mask", "string, long -> string", none, |a| {
            masked(a, V6).map(|(bits, _)| canonical(bits)).into()
        }),
        row("format_ipv4", "any, long? -> string", none, |a| {
            formatted(a).map(|(ip, _)| ip.to_string()).into()
        }),
        row("format_ipv4_mask", "any, long? -> string", none, |a| {
            formatted(a)
                .map(|(ip, prefix)| format!("{ip}/{prefix}"))
                .into()
        }),
        row("has_ipv4", "text, string -> bool", none, |a| {
            has_any(a, false)
        }),
        row("has_ipv4_prefix", "text, string -> bool", none, |a| {
            has_any(a, true)
        }),
    ];
    for (name, prefix) in [("has_any_ipv4", false), ("has_any_ipv4_prefix", true)] {
        let f: super::RowFn = if prefix {
            |a| has_any(a, true)
        } else {
            |a| has_any(a, false)
        };
        all.push(nulls(name, in_any, none, f));
    }
    all
}

/// An address and how many of its first bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Net {
    bits: u128,
    prefix: u32,
}

/// How an address of this many bits is read.
#[derive(Clone, Copy)]
struct Family {
    width: u32,
    read: fn(&str) -> Option<Net>,
}

const V4: Family = Family {
    width: 32,
    read: v4,
};
const V6: Family = Family {
    width: 128,
    read: v6,
};

impl Net {
    fn masked(self, prefix: u32, family: Family) -> u128 {
        let dropped = family.width - prefix;
        self.bits
            .checked_shr(dropped)
            .unwrap_or(0)
            .checked_shl(dropped)
            .unwrap_or(0)
    }
}

fn split_prefix(text: &str, width: u32) -> Option<(&str, u32)> {
    let text = text.trim();
    let Some((address, prefix)) = text.split_once('/') else {
        return Some((text, width));
    };
    let digits = prefix.bytes().all(|b| b.is_ascii_digit());
    let prefix = prefix
        .parse()
        .ok()
        .filter(|prefix| digits && *prefix <= width)?;
    Some((address, prefix))
}

fn v4(text: &str) -> Option<Net> {
    let (address, prefix) = split_prefix(text, 32)?;
    let address: Ipv4Addr = address.parse().ok()?;
    Some(Net {
        bits: u32::from(address).into(),
        prefix,
    })
}

/// IPv4 addresses are taken as mapped ones, `::192.168.1.1` too; their prefix counts from bit 96.
fn v6(text: &str) -> Option<Net> {
    let mapped = |ip: Ipv4Addr| u128::from(ip.to_ipv6_mapped());
    if let Some(net) = v4(text.trim().strip_prefix("::").unwrap_or(text.trim())) {
        return Some(Net {
            bits: mapped(Ipv4Addr::from(net.bits as u32)),
            prefix: 96 + net.prefix,
        });
    }
    let (address, prefix) = split_prefix(text, 128)?;
    let address: Ipv6Addr = address.parse().ok()?;
    Some(Net {
        bits: address.into(),
        prefix,
    })
}

/// A prefix given as an argument; `None` when there cannot be one so long.
fn asked(args: &[Value<'_>], index: usize, family: Family) -> Option<u32> {
    let Some(prefix) = args.get(index) else {
        return Some(family.width);
    };
    u32::try_from(prefix.as_long()?)
        .ok()
        .filter(|prefix| *prefix <= family.width)
}

/// Both addresses, cut to the shortest prefix there is.
fn pair(args: &[Value<'_>], family: Family) -> Option<(u128, u128)> {
    let (a, b) = (
        (family.read)(args[0].text())?,
        (family.read)(args[1].text())?,
    );
    let prefix = asked(args, 2, family)?.min(a.prefix).min(b.prefix);
    Some((a.masked(prefix, family), b.masked(prefix, family)))
}

fn compare<'a>(args: &[Value<'a>], family: Family) -> Value<'a> {
    pair(args, family).map(|(a, b)| a.cmp(&b) as i64).into()
}

fn same<'a>(args: &[Value<'a>], family: Family) -> Value<'a> {
    pair(args, family).map(|(a, b)| a == b).into()
}

/// The strings after the first argument: one each, or those of one array.
fn listed(args: &[Value<'_>]) -> Vec<String> {
    match &args[1] {
        Value::Dynamic(raw) => match json::elements(raw) {
            Some(items) => items
                .into_iter()
                .map(|item| json::unquote(item).into())
                .collect(),
            None => vec![json::unquote(raw).into()],
        },
        _ => args[1..].iter().map(|arg| arg.text().to_owned()).collect(),
    }
}

/// Null when the address is none, or when a range is none and no other holds the address.
fn in_any_range<'a>(args: &[Value<'a>], family: Family) -> Value<'a> {
    let Some(address) = (family.read)(args[0].text()) else {
        return Value::Null;
    };
    let mut unclear = false;
    for range in listed(args) {
        match (family.read)(&range) {
            None => unclear = true,
            Some(range) => {
                let prefix = range.prefix.min(address.prefix);
                if range.masked(prefix, family) == address.masked(prefix, family) {
                    return Value::Bool(true);
                }
            }
        }
    }
    (!unclear).then_some(false).into()
}

fn is_private(bits: u32) -> bool {
    Ipv4Addr::from(bits).is_private()
}

/// The fewest ranges that hold all addresses from the first to the last.
fn cidr_list<'a>(args: &[Value<'a>]) -> Value<'a> {
    let (Some(first), Some(last)) = (v4(args[0].text()), v4(args[1].text())) else {
        return Value::Null;
    };
    let (mut at, last) = (first.bits as u64, last.bits as u64);
    let mut ranges = Vec::new();
    while at <= last {
        let aligned = at.trailing_zeros().min(32);
        let room = (last - at + 1).ilog2();
        let size = aligned.min(room);
        let address = Ipv4Addr::from(at as u32);
        ranges.push(Json::String(format!("{address}/{}", 32 - size)));
        at += 1 << size;
    }
    Json::Array(ranges).into_value()
}

fn masked(args: &[Value<'_>], family: Family) -> Option<(u128, u32)> {
    let net = (family.read)(args[0].text())?;
    let prefix = asked(args, 1, family)?.min(net.prefix);
    Some((net.masked(prefix, family), prefix))
}

/// Eight groups of four digits, nothing left out.
fn canonical(bits: u128) -> String {
    let groups = Ipv6Addr::from(bits).segments();
    groups.map(|group| format!("{group:04x}")).join(":")
}

/// Takes an address as text or as a number.
fn formatted(args: &[Value<'_>]) -> Option<(Ipv4Addr, u32)> {
    let net = match &args[0] {
        Value::Int(_) | Value::Long(_) => Net {
            bits: u32::try_from(args[0].as_long()?).ok()?.into(),
            prefix: 32,
        },
        other => v4(&crate::kql::convert::text(other))?,
    };
    let prefix = asked(args, 1, V4)?.min(net.prefix);
    Some((Ipv4Addr::from(net.masked(prefix, V4) as u32), prefix))
}

/// Whether one of the addresses stands in the text, between characters that are neither letters
/// nor digits; with `prefix`, whether one begins so.
fn has_any<'a>(args: &[Value<'a>], prefix: bool) -> Value<'a> {
    if args[1].is_null() {
        return Value::Null;
    }
    let text = args[0].text();
    listed(args)
        .iter()
        .any(|wanted| stands_in(text, wanted, prefix))
        .into()
}

fn stands_in(text: &str, wanted: &str, prefix: bool) -> bool {
    let whole = wanted.parse::<Ipv4Addr>().is_ok();
    let open = prefix && wanted.ends_with('.') && {
        let parts: Vec<&str> = wanted[..wanted.len() - 1].split('.').collect();
        (1..=3).contains(&parts.len()) && parts.iter().all(|part| part.parse::<u8>().is_ok())
    };
    if !whole && !open {
        return false;
    }
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    text.match_indices(wanted).any(|(at, _)| {
        if !edge(text[..at].chars().next_back()) {
            return false;
        }
        if whole {
            return edge(text[at + wanted.len()..].chars().next());
        }
        let rest = &text[at..];
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        // A full stop may end the sentence.
        let address = rest[..end].trim_end_matches('.');
        let four: Vec<&str> = address.splitn(5, '.').take(4).collect();
        four.join(".").parse::<Ipv4Addr>().is_ok() && edge(rest[end..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{call, long};
    use super::*;

    #[test]
    fn addresses_are_compared_by_the_shortest_prefix() {
        let json = |text: &'static str| Value::dynamic(text);
        let v6 = "fe80::85d:e82c:9446:7994";
        for (name, args, expected) in [
            (
                "ipv4_compare",
                vec!["192.168.1.0".into(), "192.168.1.0".into()],
                long(0),
            ),
            (
                "ipv4_compare",
                vec!["192.168.1.1/30".into(), "192.168.1.255/24".into()],
                long(0),
            ),
            (
                "ipv4_compare",
                vec!["192.168.1.1".into(), "192.168.1.2".into()],
                long(-1),
            ),
            (
                "ipv4_compare",
                vec!["192.168.1.1".into(), "192.168.1.0".into(), long(31)],
                long(0),
            ),
            (
                "ipv4_compare",
                vec!["x".into(), "192.168.1.0".into()],
                Value::Null,
            ),
            (
                "ipv4_is_match",
                vec!["192.168.1.1/24".into(), "192.168.1.255".into()],
                true.into(),
            ),
            (
                "ipv4_is_in_range",
                vec!["192.168.1.1".into(), "10.0.0.0/8".into()],
                false.into(),
            ),
            (
                "ipv4_is_in_range",
                vec!["1.2.3.4".into(), "0.0.0.0/0".into()],
                true.into(),
            ),
            (
                "ipv4_is_in_any_range",
                vec![
                    "192.168.1.6".into(),
                    "192.168.1.1/24".into(),
                    "10.0.0.1/8".into(),
                ],
                true.into(),
            ),
            (
                "ipv4_is_in_any_range",
                vec!["123.1.11.21".into(), json("[\"192.168.1.1/16\"]")],
                false.into(),
            ),
            (
                "ipv6_is_match",
                vec!["192.168.1.1".into(), "::ffff:c0a8:0101".into()],
                true.into(),
            ),
            (
                "ipv6_is_match",
                vec!["::192.168.1.1/30".into(), "192.168.1.255/24".into()],
                true.into(),
            ),
            (
                "ipv6_compare",
                vec![v6.into(), "fe80::85d:e82c:9446:7995".into(), long(127)],
                long(0),
            ),
            (
                "ipv6_compare",
                vec![v6.into(), "fe80::85d:e82c:9446:7995".into()],
                long(-1),
            ),
            (
                "ipv6_is_in_range",
                vec![v6.into(), "fe80::/10".into()],
                true.into(),
            ),
        ] {
            assert_eq!(call(name, &args), expected, "{name}{args:?}");
        }
    }

    #[test]
    fn addresses_are_read_and_written() {
        let json = |text: &'static str| Value::dynamic(text);
        for (name, args, expected) in [
            (
                "ipv4_is_private",
                vec!["192.168.1.1/24".into()],
                true.into(),
            ),
            ("ipv4_is_private", vec!["127.0.0.1".into()], false.into()),
            ("ipv4_netmask_suffix", vec!["10.1.2.3".into()], long(32)),
            ("ipv4_netmask_suffix", vec!["127.0.0.1/16".into()], long(16)),
            ("parse_ipv4", vec!["127.0.0.1".into()], long(2_130_706_433)),
            ("parse_ipv4", vec!["192.168.1.300".into()], Value::Null),
            (
                "parse_ipv4_mask",
                vec!["127.0.0.1".into(), long(24)],
                long(2_130_706_432),
            ),
            (
                "parse_ipv6",
                vec!["127.0.0.1".into()],
                "0000:0000:0000:0000:0000:ffff:7f00:0001".into(),
            ),
            ("parse_ipv6", vec!["x".into()], "".into()),
            (
                "parse_ipv6_mask",
                vec!["192.168.255.255/24".into(), long(124)],
                "0000:0000:0000:0000:0000:ffff:c0a8:ff00".into(),
            ),
            (
                "parse_ipv6_mask",
                vec!["fe80::85d:e82c:9446:7994/120".into(), long(124)],
                "fe80:0000:0000:0000:085d:e82c:9446:7900".into(),
            ),
            (
                "format_ipv4",
                vec!["192.168.1.1/24".into(), long(32)],
                "192.168.1.0".into(),
            ),
            (
                "format_ipv4",
                vec![long(3_232_236_031), long(24)],
                "192.168.1.0".into(),
            ),
            (
                "format_ipv4",
                vec!["192.168.1.1".into(), long(-1)],
                "".into(),
            ),
            (
                "format_ipv4_mask",
                vec!["192.168.1.1".into(), long(24)],
                "192.168.1.0/24".into(),
            ),
            (
                "ipv4_range_to_cidr_list",
                vec!["1.1.128.0".into(), "1.1.140.255".into()],
                json("[\"1.1.128.0/21\",\"1.1.136.0/22\",\"1.1.140.0/24\"]"),
            ),
        ] {
            assert_eq!(call(name, &args), expected, "{name}{args:?}");
        }
    }

    #[test]
    fn addresses_are_found_in_text() {
        let log = "05:04:54 127.0.0.1 GET /favicon.ico 404";
        let glued = "05:04:54127.0.0.1 GET /favicon.ico 404";
        for (name, text, wanted, expected) in [
            ("has_ipv4", log, "127.0.0.1", true),
            ("has_ipv4", glued, "127.0.0.1", false),
            ("has_ipv4", "127.0.0.256", "127.0.0.256", false),
            ("has_ipv4", "from 10.1.1.1, or", "10.1.1.1", true),
            ("has_ipv4", "from 10.1.1.11", "10.1.1.1", false),
            ("has_ipv4_prefix", log, "127.0.", true),
            ("has_ipv4_prefix", log, "127.0", false),
            (
                "has_ipv4_prefix",
                "05:04:54 127.0.0.256 GET",
                "127.0.",
                false,
            ),
            ("has_ipv4_prefix", glued, "127.0.", false),
            ("has_any_ipv4", log, "127.0.0.1", true),
            ("has_any_ipv4_prefix", log, "192.168.", false),
        ] {
            let found = call(name, &[text.into(), wanted.into()]);
            assert_eq!(found, expected.into(), "{name}({text}, {wanted})");
        }
    }
}
