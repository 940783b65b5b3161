//! Numbers and identifiers as text.

/// A guid with or without dashes, braces or brackets around it allowed.
#[must_use]
pub fn parse_guid(text: &str) -> Option<u128> {
    let text = text.trim();
    let inner = match (text.chars().next()?, text.chars().last()?) {
        ('{', '}') | ('(', ')') => &text[1..text.len() - 1],
        _ => text,
    };
    let bytes = inner.as_bytes();
    let shape = match bytes.len() {
        32 => true,
        36 => [8, 13, 18, 23].iter().all(|at| bytes[*at] == b'-'),
        _ => false,
    };
    let digits: String = inner.chars().filter(|c| *c != '-').collect();
    let hex = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    (shape && hex).then(|| u128::from_str_radix(&digits, 16).ok())?
}

/// `74be27de-1e4e-49d9-b579-fe0b331d3642`
#[must_use]
pub fn format_guid(guid: u128) -> String {
    let hex = format!("{guid:032x}");
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

/// A whole number in decimal or, after `0x`, in hexadecimal (up to 64 bits, taken as two's complement).
#[must_use]
pub fn parse_long(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if let Some(hex) = digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        if hex.starts_with(['+', '-']) {
            return None;
        }
        let value = u64::from_str_radix(hex, 16).ok()? as i64;
        return Some(if negative {
            value.wrapping_neg()
        } else {
            value
        });
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if negative {
        format!("-{digits}").parse().ok()
    } else {
        digits.parse().ok()
    }
}

/// A number with or without point and exponent; `+inf`, `-inf`, `inf`, `nan` too.
#[must_use]
pub fn parse_real(text: &str) -> Option<f64> {
    let text = text.trim();
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.eq_ignore_ascii_case("inf") {
        return Some(sign * f64::INFINITY);
    }
    if rest.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    let numeric = rest.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && rest.ends_with(|c: char| c.is_ascii_digit() || c == '.');
    numeric
        .then(|| rest.parse::<f64>().ok())?
        .map(|value| sign * value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_guids_are_read_as_written() {
        assert_eq!(parse_long("0x1F"), Some(31));
        assert_eq!(parse_long("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_long("9223372036854775808"), None);
        assert_eq!(parse_long("1.5"), None);
        assert_eq!(parse_long("-+1"), None);
        assert_eq!(parse_real("1e3"), Some(1000.0));
        assert_eq!(parse_real("1."), Some(1.0));
        assert_eq!(parse_real("-inf"), Some(f64::NEG_INFINITY));
        assert!(parse_real("nan").is_some_and(f64::is_nan));
        assert_eq!(parse_real("infinity"), None);
        assert_eq!(parse_real("."), None);
        let guid = "74be27de-1e4e-49d9-b579-fe0b331d3642";
        assert_eq!(
            parse_guid(guid),
            Some(0x74be27de_1e4e_49d9_b579_fe0b331d3642)
        );
        assert_eq!(format_guid(0x74be27de_1e4e_49d9_b579_fe0b331d3642), guid);
        assert_eq!(parse_guid(&guid.replace('-', "")), parse_guid(guid));
        assert_eq!(parse_guid("74be27de"), None);
        assert_eq!(parse_guid("é"), None);
    }
}
