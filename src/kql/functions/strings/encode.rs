//! Text in other clothes: percent encoding, punycode.

use crate::kql::functions::{Function, Naming, row};

pub(crate) fn table() -> Vec<Function> {
    let text = "string -> string";
    let none = Naming::None;
    vec![
        row("url_encode", text, none, |a| {
            percent(a[0].text(), "+").into()
        }),
        row("url_encode_component", text, none, |a| {
            percent(a[0].text(), "%20").into()
        }),
        row("url_decode", text, none, |a| url_decode(a[0].text()).into()),
        row("punycode_from_string", text, none, |a| {
            encoded(a[0].text()).into()
        }),
        row("punycode_to_string", text, none, |a| {
            decoded(a[0].text()).into()
        }),
        row("punycode_domain_to_string", text, none, |a| {
            domain(a[0].text(), |label| {
                if label.is_ascii() {
                    Some(label.to_owned())
                } else {
                    encoded(label).map(|label| format!("xn--{label}"))
                }
            })
            .into()
        }),
        row("punycode_domain_from_string", text, none, |a| {
            domain(a[0].text(), |label| match label.strip_prefix("xn--") {
                Some(label) => decoded(label),
                None => Some(label.to_owned()),
            })
            .into()
        }),
    ]
}

/// Letters, digits and `-_.!*()` stay; the rest goes as bytes in small hexadecimal digits.
fn percent(text: &str, blank: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => result.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'!' | b'*' | b'(' | b')' => result.push(char::from(byte)),
            b' ' => result.push_str(blank),
            _ => result.push_str(&format!("%{byte:02x}")),
        }
    }
    result
}

fn url_decode(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text)
        .decode_utf8_lossy()
        .into_owned()
}

/// Each label on its own; the full stops of East Asian scripts part labels too.
fn domain(text: &str, label: impl Fn(&str) -> Option<String>) -> Option<String> {
    let labels: Option<Vec<String>> = text
        .split(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'])
        .map(label)
        .collect();
    Some(labels?.join("."))
}

const BASE: u32 = 36;
const FIRST_BIAS: u32 = 72;
const FIRST_POINT: u32 = 128;

/// How many values a digit at position `k` (36, 72, ...) leaves to the next (RFC 3492, 6.2).
fn threshold(k: u32, bias: u32) -> u32 {
    k.saturating_sub(bias).clamp(1, 26)
}

fn adapted(delta: u32, points: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += BASE;
    }
    k + 36 * delta / (delta + 38)
}

/// Punycode by RFC 3492; `None` when numbers grow beyond 32 bits.
fn encoded(text: &str) -> Option<String> {
    let mut result: String = text.chars().filter(char::is_ascii).collect();
    let basic = result.len() as u32;
    let total = text.chars().count() as u32;
    if basic > 0 {
        result.push('-');
    }
    let (mut point, mut delta, mut bias, mut done) = (FIRST_POINT, 0u32, FIRST_BIAS, basic);
    while done < total {
        let next = text.chars().map(u32::from).filter(|c| *c >= point).min()?;
        delta = delta.checked_add((next - point).checked_mul(done + 1)?)?;
        point = next;
        for c in text.chars().map(u32::from) {
            if c < point {
                delta = delta.checked_add(1)?;
            }
            if c != point {
                continue;
            }
            let mut rest = delta;
            let mut k = BASE;
            loop {
                let t = threshold(k, bias);
                if rest < t {
                    break;
                }
                result.push(digit(t + (rest - t) % (BASE - t)));
                rest = (rest - t) / (BASE - t);
                k += BASE;
            }
            result.push(digit(rest));
            bias = adapted(delta, done + 1, done == basic);
            delta = 0;
            done += 1;
        }
        delta = delta.checked_add(1)?;
        point += 1;
    }
    Some(result)
}

/// `a` to `z`, then `0` to `9`.
fn digit(value: u32) -> char {
    char::from(b"abcdefghijklmnopqrstuvwxyz0123456789"[value as usize])
}

fn decoded(text: &str) -> Option<String> {
    let (basic, digits) = text.rsplit_once('-').unwrap_or(("", text));
    if !text.is_ascii() {
        return None;
    }
    let mut result: Vec<char> = basic.chars().collect();
    let (mut point, mut at, mut bias) = (FIRST_POINT, 0u32, FIRST_BIAS);
    let mut digits = digits.bytes().peekable();
    while digits.peek().is_some() {
        let (before, mut weight, mut k) = (at, 1u32, BASE);
        loop {
            let value = match digits.next()? {
                b @ b'a'..=b'z' => u32::from(b - b'a'),
                b @ b'A'..=b'Z' => u32::from(b - b'A'),
                b @ b'0'..=b'9' => u32::from(b - b'0') + 26,
                _ => return None,
            };
            at = at.checked_add(value.checked_mul(weight)?)?;
            let t = threshold(k, bias);
            if value < t {
                break;
            }
            weight = weight.checked_mul(BASE - t)?;
            k += BASE;
        }
        let count = result.len() as u32 + 1;
        bias = adapted(at - before, count, before == 0);
        point = point.checked_add(at / count)?;
        at %= count;
        result.insert(at as usize, char::from_u32(point)?);
        at += 1;
    }
    Some(result.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::call;

    #[test]
    fn text_is_encoded_and_decoded() {
        let address = "https://www.bing.com/hello world";
        for (name, text, expected) in [
            (
                "url_encode",
                address,
                "https%3a%2f%2fwww.bing.com%2fhello+world",
            ),
            (
                "url_encode_component",
                address,
                "https%3a%2f%2fwww.bing.com%2fhello%20world",
            ),
            (
                "url_decode",
                "https%3a%2f%2fwww.bing.com%2Fhello+world",
                address,
            ),
            (
                "punycode_from_string",
                "académie-française",
                "acadmie-franaise-npb1a",
            ),
            ("punycode_from_string", "艺术", "cqv902d"),
            (
                "punycode_to_string",
                "acadmie-franaise-npb1a",
                "académie-française",
            ),
            ("punycode_to_string", "cqv902d", "艺术"),
            ("punycode_to_string", "!", ""),
            (
                "punycode_domain_from_string",
                "xn--Ge-mia.Bulg.edu",
                "Gáe.Bulg.edu",
            ),
            (
                "punycode_domain_to_string",
                "Riðill｡org",
                "xn--Riill-jta.org",
            ),
            ("punycode_domain_to_string", "L ê", "xn--L -fja"),
        ] {
            assert_eq!(
                call(name, &[text.into()]),
                expected.into(),
                "{name}({text})"
            );
        }
    }
}
