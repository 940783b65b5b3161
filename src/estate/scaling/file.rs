//! Scaling and prices as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

/// What scaling owns, and by which rules. Without it nothing is owned.
#[derive(Debug, Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(in crate::estate) struct Scaling {
    /// The databases of all stamps and their containers.
    #[serde(default)]
    pub(super) cosmos: Cosmos,
    /// Databases that are scaled otherwise.
    #[serde(default)]
    pub(super) databases: Vec<Database>,
    /// Containers that are scaled otherwise.
    #[serde(default)]
    pub(super) containers: Vec<Container>,
    /// The container apps of all stamps.
    #[serde(default)]
    pub(super) apps: Apps,
    /// Container apps that are scaled otherwise.
    #[serde(default)]
    pub(super) container_apps: Vec<App>,
}

/// How throughput follows the load.
#[derive(Debug, Deserialize, JsonSchema, Default, Clone)]
pub(super) struct Throughput {
    /// RU/s in steps of 100. At first 400.
    pub(super) least: Option<u32>,
    /// RU/s in steps of 100. At first 20000, which is also the most that is possible.
    pub(super) most: Option<u32>,
    /// A minute is busy above so many percent of the fullest partition. At first 80.
    pub(super) up_percent: Option<u32>,
    /// A minute is calm below so many percent of the fullest partition. At first 20.
    pub(super) down_percent: Option<u32>,
    /// So many of the newest `of_samples` minutes must be busy. At first 2.
    pub(super) hot_samples: Option<u32>,
    /// At first 3.
    pub(super) of_samples: Option<u32>,
    /// Throttling is real above so many percent of requests refused with 429. At first 5.
    pub(super) throttled_percent: Option<u32>,
    /// From one percent of refusals on it is real as well, where requests take longer than this. At
    /// first 50.
    pub(super) good_latency_ms: Option<u32>,
    /// What is busy, and by its trend needs more than it has within this time, gets it before it is
    /// refused; 0m: never. At first 3m.
    pub(super) foresee: Option<String>,
    /// How full it is to be after a change. At first 80.
    pub(super) target_percent: Option<u32>,
    /// There is less only where that frees so many percent, or where all was below `down_percent`. At
    /// first 42.
    pub(super) least_step_percent: Option<u32>,
    /// How long all must have been calm before there is less, 60m at least. At first 60m.
    pub(super) calm: Option<String>,
    /// How long there is no second step down, 60m at least. At first 1h.
    pub(super) between_downs: Option<String>,
    /// How far ahead the forecast is asked, 24h at most. At first 2h.
    pub(super) ahead: Option<String>,
    /// At first 12.
    pub(super) most_changes_per_day: Option<u32>,
}

/// All databases and containers.
#[derive(Debug, Deserialize, JsonSchema, Default)]
#[schemars(extend("additionalProperties" = false))]
pub(super) struct Cosmos {
    /// Their throughput is scaled. At first it is left to people.
    #[serde(default)]
    pub(super) own: bool,
    #[serde(flatten)]
    pub(super) rules: Throughput,
}

/// What one database's containers share. What is not said here is as it is for all.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(super) struct Database {
    /// Name of a stamp; without it, the databases of that name of all stamps are meant.
    pub(super) stamp: Option<String>,
    pub(super) database: String,
    pub(super) own: Option<bool>,
    #[serde(flatten)]
    pub(super) rules: Throughput,
}

/// One container. What is not said here is as it is for all.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(super) struct Container {
    /// Name of a stamp; without it, the containers of that name of all stamps are meant.
    pub(super) stamp: Option<String>,
    pub(super) container: String,
    pub(super) own: Option<bool>,
    #[serde(flatten)]
    pub(super) rules: Throughput,
}

/// How replicas follow the load.
#[derive(Debug, Deserialize, JsonSchema, Default, Clone)]
pub(super) struct Replicas {
    /// At first 2.
    pub(super) least: Option<u32>,
    /// At first 10.
    pub(super) most: Option<u32>,
    /// Of the scale rule, and of what counts as busy. At first 70.
    pub(super) cpu_percent: Option<u32>,
    /// Of the scale rule, and of what counts as busy. At first 80.
    pub(super) memory_percent: Option<u32>,
    /// So many of the newest `of_samples` minutes must be busy. At first 2.
    pub(super) hot_samples: Option<u32>,
    /// At first 3.
    pub(super) of_samples: Option<u32>,
    /// How long a raise of the least number lasts. At first 30m.
    pub(super) burst: Option<String>,
    /// How long all must have been calm at its end. At first 15m.
    pub(super) calm: Option<String>,
}

/// All container apps.
#[derive(Debug, Deserialize, JsonSchema, Default)]
#[schemars(extend("additionalProperties" = false))]
pub(super) struct Apps {
    /// Their replicas are scaled. At first they are left to people.
    #[serde(default)]
    pub(super) own: bool,
    #[serde(flatten)]
    pub(super) rules: Replicas,
}

/// One container app. What is not said here is as it is for all.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(super) struct App {
    /// Name of a stamp; without it, the apps of that name of all stamps are meant.
    pub(super) stamp: Option<String>,
    /// Short name of a container app.
    pub(super) app: String,
    pub(super) own: Option<bool>,
    #[serde(flatten)]
    pub(super) rules: Replicas,
}

/// What capacity costs. Where a price is missing, no amount is told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::estate) struct Prices {
    /// Three letters, as JPY.
    pub(super) currency: String,
    #[serde(default)]
    pub(super) cosmos: Vec<CosmosPrice>,
    #[serde(default)]
    pub(super) apps: Vec<AppPrice>,
}

/// Of Cosmos in a region.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CosmosPrice {
    /// As japaneast.
    pub(super) region: String,
    /// 100 RU/s of manual throughput for an hour, in one region.
    pub(super) hundred_ru_hour: Amount,
}

/// Of container apps in a region.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AppPrice {
    /// As japaneast.
    pub(super) region: String,
    /// A vCPU that is active, for an hour: 3600 of Azure's vCPU-seconds.
    pub(super) vcpu_hour: Amount,
    /// A GiB of memory that is active, for an hour.
    pub(super) gib_hour: Amount,
}

/// In the currency's unit, with six decimals at most: 1.25 or "1.25".
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(transform = plain_amount)]
pub(super) enum Amount {
    Whole(i64),
    Number(f64),
    Text(String),
}

/// One type of several instead of a choice of schemas, which editors tell in a better way.
fn plain_amount(schema: &mut schemars::Schema) {
    schema.remove("anyOf");
    schema.insert("type".into(), serde_json::json!(["number", "string"]));
}

impl Amount {
    /// Millionths of the unit, exactly; `None` if it is no price.
    pub(super) fn micros(&self) -> Option<i64> {
        match self {
            Self::Whole(number) => micros(&number.to_string()),
            // Its shortest form is what was written, but for more digits than a price can have.
            Self::Number(number) => micros(&number.to_string()),
            Self::Text(text) => micros(text),
        }
    }
}

/// Digits, and with a point six more at most.
fn micros(text: &str) -> Option<i64> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(rest) || rest.len() > 6 {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let rest: i64 = format!("{rest:0<6}").parse().ok()?;
    whole.checked_mul(1_000_000)?.checked_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_read_to_the_millionth_or_not_at_all() {
        let text = |text: &str| Amount::Text(text.into()).micros();
        for (name, found, expected) in [
            ("whole", Amount::Whole(3).micros(), Some(3_000_000)),
            ("a number", Amount::Number(0.1).micros(), Some(100_000)),
            (
                "a small number",
                Amount::Number(0.000_001).micros(),
                Some(1),
            ),
            ("a smaller number", Amount::Number(1e-7).micros(), None),
            ("less than nothing", Amount::Whole(-1).micros(), None),
            ("no number", Amount::Number(f64::NAN).micros(), None),
            ("without end", Amount::Number(f64::INFINITY).micros(), None),
            ("a text", text("12.345678"), Some(12_345_678)),
            ("nothing before the point", text(".5"), None),
            ("nothing behind it", text("5."), None),
            ("two points", text("1.2.3"), None),
            ("a sign", text("+1"), None),
            ("words", text("free"), None),
            ("nothing", text(""), None),
            ("too much to tell", text("99999999999999"), None),
        ] {
            assert_eq!(found, expected, "{name}");
        }
    }
}
