//! Values for the secrets that an estate file names, which its stand-ins take.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use toml::{Table, Value};

use crate::config::SECRET_PREFIX;

/// A setting for each secret that a channel of the estate file names: a key, or the address that the
/// channel's kind has instead. They open nothing but the embedded estate, and are the same each time.
/// A text that is no TOML names none.
#[must_use]
pub fn sample_secrets(estate: &str) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    if let Ok(table) = estate.parse::<Table>() {
        collect(&Value::Table(table), &mut out);
    }
    out
}

fn collect(value: &Value, out: &mut BTreeMap<String, String>) {
    match value {
        Value::Table(table) => {
            let kind = table
                .get("kind")
                .and_then(Value::as_str)
                .unwrap_or_default();
            for field in ["secret", "url_secret"] {
                if let Some(name) = table.get(field).and_then(Value::as_str) {
                    let is_address = field == "url_secret";
                    let value = sample(name, if is_address { "address" } else { kind });
                    out.insert(format!("{SECRET_PREFIX}{name}"), value);
                }
            }
            table.values().for_each(|value| collect(value, out));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, out)),
        _ => {}
    }
}

fn sample(name: &str, kind: &str) -> String {
    let key = format!("{:x}", Sha256::digest(format!("poolkeeper sample {name}")));
    let key = &key[..32];
    match kind {
        "slack" => format!(
            "https://hooks.slack.com/services/T00000000/B00000000/{}",
            &key[..24]
        ),
        "teams" => format!(
            "https://prod-00.japaneast.logic.azure.com/workflows/{key}/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={key}"
        ),
        "address" => format!("https://hooks.example.net/{key}"),
        _ => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_gets_a_secret_of_its_kind() {
        let estate = r#"
            [[channels]]
            kind = "pagerduty"
            secret = "PAGER"
            [[channels]]
            kind = "slack"
            secret = "SLACK"
            [[channels]]
            kind = "webhook"
            secret = "SIGNING"
            url_secret = "PLACE"
        "#;
        let secrets = sample_secrets(estate);
        let get = |name: &str| secrets[&format!("POOLKEEPER_SECRET_{name}")].as_str();
        assert_eq!(secrets.len(), 4);
        assert_eq!(get("PAGER").len(), 32);
        assert_ne!(get("PAGER"), get("SIGNING"));
        assert!(get("SLACK").starts_with("https://hooks.slack.com/services/T"));
        assert!(get("PLACE").starts_with("https://"));
        assert!(sample_secrets("no [ toml").is_empty());
    }
}
