//! Parameters as KQL literals. The Logs API takes none beside the text, so this is the one place
//! where a value becomes part of a query.

use std::fmt::Write as _;

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};

/// A value for a parameter of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    String(String),
    Long(i64),
    /// Also not-a-number and the infinities, which Kusto can write.
    Real(f64),
    Bool(bool),
    /// Cut to whole ticks of 100 ns. Years 1 to 9999.
    DateTime(DateTime<Utc>),
    /// Whole ticks of 100 ns, as many as 64 bits hold.
    TimeSpan(TimeDelta),
    /// A dynamic array of strings.
    List(Vec<String>),
}

/// The type of a parameter, as headers of queries write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamType {
    String,
    Long,
    Real,
    Bool,
    DateTime,
    TimeSpan,
    List,
}

impl ParamType {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Long => "long",
            Self::Real => "real",
            Self::Bool => "bool",
            Self::DateTime => "datetime",
            Self::TimeSpan => "timespan",
            Self::List => "list",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::String,
            Self::Long,
            Self::Real,
            Self::Bool,
            Self::DateTime,
            Self::TimeSpan,
            Self::List,
        ]
        .into_iter()
        .find(|ty| ty.name() == name)
    }
}

impl Param {
    #[must_use]
    pub fn ty(&self) -> ParamType {
        match self {
            Self::String(_) => ParamType::String,
            Self::Long(_) => ParamType::Long,
            Self::Real(_) => ParamType::Real,
            Self::Bool(_) => ParamType::Bool,
            Self::DateTime(_) => ParamType::DateTime,
            Self::TimeSpan(_) => ParamType::TimeSpan,
            Self::List(_) => ParamType::List,
        }
    }

    /// One literal of KQL, whatever the value holds. `None` when Kusto cannot hold the value.
    #[must_use]
    pub fn literal(&self) -> Option<String> {
        Some(match self {
            Self::String(value) => string(value),
            Self::Long(value) => format!("long({value})"),
            Self::Real(value) => real(*value),
            Self::Bool(value) => value.to_string(),
            Self::DateTime(value) => datetime(value)?,
            Self::TimeSpan(value) => timespan(*value)?,
            Self::List(values) => {
                let values: Vec<String> = values.iter().map(|value| string(value)).collect();
                format!("dynamic([{}])", values.join(", "))
            }
        })
    }
}

/// Uses only the escapes that mean the same in a string of KQL and in the JSON of `dynamic`. What
/// ends a line, or is not seen or turns the reading around, is escaped too.
fn string(value: &str) -> String {
    let mut literal = String::with_capacity(value.len() + 2);
    literal.push('"');
    for c in value.chars() {
        match c {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            c if c.is_control() || unseen(c) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    write!(literal, "\\u{unit:04x}").expect("a string takes what is written");
                }
            }
            c => literal.push(c),
        }
    }
    literal.push('"');
    literal
}

fn unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn real(value: f64) -> String {
    if value.is_nan() {
        "real(nan)".to_owned()
    } else if value.is_infinite() {
        let sign = if value > 0.0 { '+' } else { '-' };
        format!("real({sign}inf)")
    } else {
        // The shortest digits that read back as the same number.
        format!("real({value:?})")
    }
}

fn datetime(value: &DateTime<Utc>) -> Option<String> {
    (1..=9999).contains(&value.year()).then(|| {
        format!(
            "datetime({}Z)",
            &value.format("%Y-%m-%dT%H:%M:%S%.9f").to_string()[..27]
        )
    })
}

/// Whole seconds where they tell it all: the form that reads exactly whatever reads the number.
fn timespan(value: TimeDelta) -> Option<String> {
    let seconds = value.num_seconds();
    let ticks = i128::from(seconds) * 10_000_000 + i128::from(value.subsec_nanos() / 100);
    let ticks = i64::try_from(ticks).ok()?;
    Some(if ticks % 10_000_000 == 0 {
        format!("time({seconds}s)")
    } else {
        format!("time({ticks}tick)")
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;
    use proptest::prelude::*;

    use super::*;

    /// Reads one string literal off the front: what it means and what is left. The grammar is the
    /// narrow one that the encoder may use; raw line ends and control characters are not of it.
    fn lex(text: &str) -> Option<(String, &str)> {
        let mut units: Vec<u16> = Vec::new();
        let mut rest = text.strip_prefix('"')?;
        loop {
            let c = rest.chars().next()?;
            rest = &rest[c.len_utf8()..];
            match c {
                '"' => return Some((String::from_utf16(&units).ok()?, rest)),
                '\\' => {
                    let escape = rest.chars().next()?;
                    rest = &rest[escape.len_utf8()..];
                    match escape {
                        '"' | '\\' => units.push(escape as u16),
                        'u' => {
                            units.push(u16::from_str_radix(rest.get(..4)?, 16).ok()?);
                            rest = &rest[4..];
                        }
                        _ => return None,
                    }
                }
                c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => return None,
                c => units.extend(c.encode_utf16(&mut [0; 2]).iter()),
            }
        }
    }

    const HOSTILE: &[&str] = &[
        "",
        "\"",
        "\\",
        "\\\"",
        "'",
        "\n",
        "\r\n",
        "\t",
        "\0",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{2029}",
        "\u{feff}",
        "\u{202e}",
        "//",
        "/*",
        "*/",
        ";",
        "|",
        "```",
        "~~~",
        "@\"",
        "h\"",
        "\\u0022",
        "\\x22",
        "\\N",
        "\\",
        "drop",
        "; let x = 1;",
        "\" | union *",
        "テナント",
        "😀",
        "\u{e000}",
        "\u{10ffff}",
        "${x}",
        "%22",
        "\\\n",
        "\u{1b}[0m",
        ")",
        "]",
        "dynamic(",
        "\u{301}",
        "\u{0}\"",
    ];

    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            3 => proptest::sample::select(HOSTILE).prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from),
            1 => "[ -~]{0,6}",
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn any_string_is_one_literal_that_means_the_same(value in hostile()) {
            let literal = Param::String(value.clone()).literal().expect("a literal");
            prop_assert_eq!(lex(&literal), Some((value, "")));
        }

        #[cfg(feature = "local")]
        #[test]
        fn our_engine_reads_any_string_as_one_literal_of_one_let(value in hostile()) {
            use crate::kql::{parser, source::Tables, syntax, Options, query};
            let literal = Param::String(value.clone()).literal().expect("a literal");
            let text = format!("let x_ = {literal};\nprint x_");
            let parsed = parser::parse(&text).expect("a query");
            let is_one = matches!(
                parsed.statements.as_slice(),
                [
                    syntax::Statement::Let {
                        value: syntax::LetValue::Expr(syntax::Expr {
                            kind: syntax::ExprKind::Literal(syntax::Literal::String(read)), ..
                        }),
                        ..
                    },
                    syntax::Statement::Expr(_),
                ] if *read == value
            );
            prop_assert!(is_one, "{text}");
            let table = query(&text, &Tables::default(), &Options::at(0)).expect("an answer");
            let cell = table.batches[0].columns[0].value(0).into_owned();
            prop_assert_eq!(cell.text(), value);
        }

        #[test]
        fn a_list_is_strings_between_brackets_and_also_json(values in proptest::collection::vec(hostile(), 0..5)) {
            let literal = Param::List(values.clone()).literal().expect("a literal");
            let json = literal.strip_prefix("dynamic(").and_then(|text| text.strip_suffix(')')).expect("dynamic");
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(json).expect("JSON"), values.clone());
            let mut rest = json.strip_prefix('[').expect("an array");
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    rest = rest.strip_prefix(", ").expect("a comma");
                }
                let (read, left) = lex(rest).expect("a literal");
                prop_assert_eq!(&read, value);
                rest = left;
            }
            prop_assert_eq!(rest, "]");
        }

        #[test]
        fn a_real_reads_back_as_itself(value in any::<f64>()) {
            prop_assume!(value.is_finite());
            let literal = Param::Real(value).literal().expect("a literal");
            let digits = literal.strip_prefix("real(").and_then(|text| text.strip_suffix(')')).expect("real");
            prop_assert_eq!(digits.parse::<f64>().expect("a number"), value);
        }
    }

    #[test]
    fn literals_are_written_so_that_no_digit_is_lost() {
        let instant = |y, n| {
            Utc.with_ymd_and_hms(y, 7, 1, 9, 5, 3)
                .single()
                .map(|at| at + TimeDelta::nanoseconds(n))
                .expect("an instant")
        };
        let cases = [
            (Param::Long(-5), Some("long(-5)")),
            (Param::Long(i64::MIN), Some("long(-9223372036854775808)")),
            (Param::Real(99.9), Some("real(99.9)")),
            (Param::Real(2000.0), Some("real(2000.0)")),
            (Param::Real(1e300), Some("real(1e300)")),
            (Param::Real(f64::NAN), Some("real(nan)")),
            (Param::Real(f64::NEG_INFINITY), Some("real(-inf)")),
            (Param::Bool(true), Some("true")),
            (
                Param::DateTime(instant(2026, 0)),
                Some("datetime(2026-07-01T09:05:03.0000000Z)"),
            ),
            (
                Param::DateTime(instant(2026, 123_456_799)),
                Some("datetime(2026-07-01T09:05:03.1234567Z)"),
            ),
            (
                Param::DateTime(instant(1, 0)),
                Some("datetime(0001-07-01T09:05:03.0000000Z)"),
            ),
            (Param::DateTime(instant(0, 0)), None),
            (Param::DateTime(instant(10_000, 0)), None),
            (Param::TimeSpan(TimeDelta::minutes(5)), Some("time(300s)")),
            (
                Param::TimeSpan(TimeDelta::nanoseconds(-1_500_000_000)),
                Some("time(-15000000tick)"),
            ),
            (
                Param::TimeSpan(TimeDelta::seconds(93_784)),
                Some("time(93784s)"),
            ),
            (Param::TimeSpan(TimeDelta::MAX), None),
            (Param::List(vec![]), Some("dynamic([])")),
            (
                Param::List(vec!["a".into(), "\"]".into()]),
                Some(r#"dynamic(["a", "\"]"])"#),
            ),
        ];
        for (param, literal) in cases {
            assert_eq!(param.literal().as_deref(), literal, "{param:?}");
        }
    }
}
