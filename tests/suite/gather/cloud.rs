//! A small cloud of Cosmos accounts and container apps, with what an embedded estate has no reason
//! to do: accounts that are forbidden, answers that leave something out, metrics that fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::any;
use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

/// A container and what is measured of it in each minute.
#[derive(Clone)]
pub(crate) struct Container {
    pub(crate) database: &'static str,
    pub(crate) name: String,
    /// `None`: it lives on what its database has.
    pub(crate) offer: Option<Value>,
    /// Percent by partition; empty: nothing is measured of it at all.
    pub(crate) used: Vec<f64>,
    pub(crate) requests: f64,
    pub(crate) refused: f64,
}

#[derive(Clone, Default)]
pub(crate) struct Account {
    pub(crate) serverless: bool,
    /// Nobody may read it, or only its metrics.
    pub(crate) denied: bool,
    pub(crate) metrics_denied: bool,
    /// A metric that is not told.
    pub(crate) fails: Option<&'static str>,
    pub(crate) databases: BTreeMap<&'static str, Value>,
    pub(crate) containers: Vec<Container>,
}

#[derive(Default)]
pub(crate) struct Cloud {
    /// By subscription and name.
    pub(crate) accounts: BTreeMap<(String, String), Account>,
    pub(crate) apps: BTreeMap<String, Value>,
    /// Only so many of the newest minutes were measured.
    pub(crate) minutes: Option<i64>,
    calls: Mutex<Vec<String>>,
}

pub(crate) fn manual(ru: u32) -> Value {
    json!({ "throughput": ru, "minimumThroughput": "400", "offerReplacePending": "false",
            "instantMaximumThroughput": "10000" })
}

pub(crate) fn autoscale(ru: u32) -> Value {
    json!({ "throughput": ru / 10, "autoscaleSettings": { "maxThroughput": ru },
            "minimumThroughput": "1000", "instantMaximumThroughput": "10000" })
}

fn named(name: &str) -> Value {
    json!({ "value": name, "localizedValue": name })
}

impl Cloud {
    pub(crate) async fn serve(self) -> (String, Arc<Self>) {
        let cloud = Arc::new(self);
        let answering = Arc::clone(&cloud);
        let router = Router::new().fallback(any(move |method: Method, uri: Uri, body: Bytes| {
            let cloud = Arc::clone(&answering);
            async move { cloud.answer(&method, &uri, &body) }
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (url, cloud)
    }

    /// What was asked, in order: the path, and of metrics what of them.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = self.calls.lock();
        calls.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads of Resource Manager.
    pub(crate) fn reads(&self) -> Vec<String> {
        let calls = self.calls();
        calls
            .into_iter()
            .filter(|c| !c.contains("getBatch"))
            .collect()
    }

    pub(crate) fn forget_calls(&self) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.clear();
    }

    fn answer(&self, method: &Method, uri: &Uri, body: &[u8]) -> Response {
        let query: BTreeMap<String, String> =
            url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        let part = |name: &str| query.get(name).cloned().unwrap_or_default();
        {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.push(format!(
                "{} {} {}",
                uri.path(),
                part("metricnames"),
                part("filter")
            ));
        }
        if uri.path().ends_with("/metrics:getBatch") {
            assert_eq!(method, Method::POST);
            let body: Value = serde_json::from_slice(body).expect("JSON");
            return self.batch(&query, &body);
        }
        let parts: Vec<&str> = uri.path().split('/').collect();
        if parts[7] == "containerApps" {
            return match self.apps.get(parts[8]) {
                Some(app) => Json(app.clone()).into_response(),
                None => refuse(StatusCode::NOT_FOUND, "ResourceNotFound"),
            };
        }
        let key = (parts[2].to_owned(), parts[8].to_owned());
        let Some(account) = self.accounts.get(&key) else {
            return refuse(StatusCode::NOT_FOUND, "ResourceNotFound");
        };
        if account.denied {
            return refuse(StatusCode::FORBIDDEN, "AuthorizationFailed");
        }
        let offer = match parts.len() {
            9 => {
                let capabilities = if account.serverless {
                    json!([{ "name": "EnableServerless" }])
                } else {
                    json!([])
                };
                let region = json!([{ "locationName": "Japan East" }]);
                return Json(json!({ "location": "Japan East", "properties": {
                    "capabilities": capabilities, "writeLocations": region, "locations": region,
                } }))
                .into_response();
            }
            13 => account.databases.get(parts[10]).cloned(),
            _ => {
                let mut all = account.containers.iter();
                let found = all.find(|c| c.database == parts[10] && c.name == parts[12]);
                found.and_then(|container| container.offer.clone())
            }
        };
        match offer {
            Some(offer) => Json(json!({ "properties": { "resource": offer } })).into_response(),
            None => refuse(StatusCode::NOT_FOUND, "NotFound"),
        }
    }

    fn batch(&self, query: &BTreeMap<String, String>, body: &Value) -> Response {
        let mut query = query.clone();
        if let Some(minutes) = self.minutes {
            let until = DateTime::parse_from_rfc3339(&query["endtime"]).expect("a time");
            let from = (until - Duration::minutes(minutes)).to_rfc3339();
            query.insert("starttime".into(), from);
        }
        let query = &query;
        let ids = body["resourceids"].as_array().expect("ids");
        assert!(ids.len() <= 50, "{} resources in one call", ids.len());
        let mut values = Vec::new();
        for id in ids {
            let id = id.as_str().expect("an id");
            let parts: Vec<&str> = id.split('/').collect();
            let metrics: Vec<&str> = query["metricnames"].split(',').collect();
            let value: Vec<Value> = if parts[7] == "containerApps" {
                metrics
                    .iter()
                    .map(|name| self.of_app(name, query))
                    .collect()
            } else {
                let key = (parts[2].to_owned(), parts[8].to_owned());
                let account = &self.accounts[&key];
                if account.metrics_denied {
                    // One that may not be read refuses the whole call.
                    return refuse(StatusCode::FORBIDDEN, "AuthorizationFailed");
                }
                let one = |name: &&str| of_account(account, name, query);
                metrics.iter().map(one).collect()
            };
            values.push(json!({
                "starttime": query["starttime"], "endtime": query["endtime"],
                "interval": query["interval"], "namespace": "n", "resourceregion": "japaneast",
                "resourceid": id, "value": value,
            }));
        }
        Json(json!({ "values": values })).into_response()
    }

    fn of_app(&self, name: &str, query: &BTreeMap<String, String>) -> Value {
        assert!(!query.contains_key("filter") && !query.contains_key("top"));
        let value = match name {
            "CpuPercentage" => 91.0,
            "MemoryPercentage" => 40.0,
            "Requests" => 1200.0,
            _ => 3.0,
        };
        metric(name, vec![series(&[], value, query)])
    }
}

fn refuse(status: StatusCode, code: &str) -> Response {
    let body = json!({ "error": { "code": code, "message": "no" } });
    (status, Json(body)).into_response()
}

/// Every value for the whole time that is asked, by its interval.
fn series(dimensions: &[(&str, &str)], value: f64, query: &BTreeMap<String, String>) -> Value {
    let time = |name: &str| {
        let at = DateTime::parse_from_rfc3339(&query[name]).expect("a time");
        at.with_timezone(&Utc)
    };
    let step = match query["interval"].as_str() {
        "PT1M" => Duration::minutes(1),
        "PT5M" => Duration::minutes(5),
        other => panic!("the interval {other}"),
    };
    let (mut at, until) = (time("starttime"), time("endtime"));
    let mut data = Vec::new();
    while at < until {
        data.push(json!({ "timeStamp": at, query["aggregation"].clone(): value }));
        at += step;
    }
    let metadata: Vec<Value> = dimensions
        .iter()
        .map(|(name, value)| json!({ "name": named(name), "value": value }))
        .collect();
    json!({ "metadatavalues": metadata, "data": data })
}

fn metric(name: &str, series: Vec<Value>) -> Value {
    json!({
        "id": name, "type": "Microsoft.Insights/metrics", "name": named(name), "unit": "Count",
        "timeseries": series, "errorCode": "Success",
    })
}

fn of_account(account: &Account, name: &str, query: &BTreeMap<String, String>) -> Value {
    if account.fails == Some(name) {
        return json!({
            "id": name, "type": "Microsoft.Insights/metrics", "name": named(name), "unit": "Count",
            "timeseries": [], "errorCode": "InternalError", "errorMessage": "not now",
        });
    }
    let filter = &query["filter"];
    let wanted = |container: &Container| {
        filter.contains("CollectionName eq '*'")
            || filter.contains(&format!("CollectionName eq '{}'", container.name))
    };
    let mut found = Vec::new();
    for container in account.containers.iter().filter(|c| wanted(c)) {
        if container.used.is_empty() {
            continue;
        }
        let place = [
            ("databasename", container.database),
            ("collectionname", &*container.name),
        ];
        // How full it is, is measured of what has throughput.
        let shared = container.offer.is_none();
        let owner = [
            place[0],
            (
                "collectionname",
                if shared { "__Empty" } else { place[1].1 },
            ),
        ];
        let fullest = container.used.iter().copied().fold(0.0, f64::max);
        let with = |name: &'static str, text: &'static str| {
            let mut all = place.to_vec();
            all.push((name, text));
            all
        };
        match name {
            "NormalizedRUConsumption" if filter.contains("PartitionKeyRangeId") => {
                for (at, used) in container.used.iter().enumerate() {
                    let id = at.to_string();
                    let mut all = owner.to_vec();
                    all.push(("partitionkeyrangeid", &id));
                    found.push(series(&all, *used, query));
                }
            }
            "NormalizedRUConsumption" => found.push(series(&owner, fullest, query)),
            "TotalRequests" if filter.contains("StatusCode eq '429'") => {
                if container.refused > 0.0 {
                    found.push(series(&with("statuscode", "429"), container.refused, query));
                }
            }
            "TotalRequests" => found.push(series(&place, container.requests, query)),
            "TotalRequestUnits" => found.push(series(&place, container.requests * 5.0, query)),
            "ServerSideLatencyDirect" => found.push(series(&place, 6.0, query)),
            "DataUsage" => found.push(series(&with("region", "Japan East"), 4e9, query)),
            "IndexUsage" => found.push(series(&with("region", "Japan East"), 1e9, query)),
            "PhysicalPartitionCount" => found.push(series(&owner, 2.0, query)),
            other => panic!("the metric {other}"),
        }
    }
    let top: usize = query["top"].parse().expect("a number");
    found.truncate(top);
    metric(name, found)
}
