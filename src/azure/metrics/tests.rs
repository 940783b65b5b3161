use chrono::{TimeZone as _, Utc};
use serde_json::{Value, json};

use super::{Aggregation, Batch, Error, Interval, Metric, Metrics, Query, add, each, one_of};
use crate::domain::ResourceId;

fn account(name: &str) -> ResourceId {
    ResourceId::new("sub", "g", "Microsoft.DocumentDB/databaseAccounts", name)
}

fn query<'a>(metrics: &'a [&'a str], top: u32) -> Query<'a> {
    let at = |minute| Utc.with_ymd_and_hms(2026, 3, 2, 9, minute, 0).unwrap();
    Query {
        metrics,
        aggregation: Aggregation::Maximum,
        interval: Interval::Minute,
        from: at(0),
        until: at(3),
        filter: Some(each(&["DatabaseName", "CollectionName"])),
        top,
    }
}

/// A metric in Azure's shape, with one series for each container.
fn metric(name: &str, series: &[(&str, Value)]) -> Value {
    let dimension = |name: &str, value: &str| {
        let named = json!({ "value": name, "localizedValue": name });
        json!({ "name": named, "value": value })
    };
    let timeseries: Vec<Value> = series
        .iter()
        .map(|(container, data)| {
            let metadata = [
                dimension("databasename", "agents"),
                dimension("collectionname", container),
            ];
            json!({ "metadatavalues": metadata, "data": data })
        })
        .collect();
    json!({
        "id": format!("/x/providers/Microsoft.Insights/metrics/{name}"),
        "type": "Microsoft.Insights/metrics",
        "name": { "value": name, "localizedValue": name },
        "displayDescription": name,
        "unit": "Percent",
        "timeseries": timeseries,
        "errorCode": "Success",
    })
}

fn of(resource: &ResourceId, interval: &str, value: Value) -> Value {
    json!({
        "starttime": "2026-03-02T09:00:00Z",
        "endtime": "2026-03-02T09:03:00Z",
        "interval": interval,
        "namespace": "microsoft.documentdb/databaseaccounts",
        "resourceregion": "japaneast",
        // Azure does not keep capitals.
        "resourceid": resource.as_str().to_ascii_lowercase(),
        "value": value,
    })
}

fn read(values: Value, resources: &[ResourceId], query: &Query<'_>) -> Vec<super::Answered> {
    let batch: Batch = serde_json::from_value(json!({ "values": values })).expect("an answer");
    batch.read(resources, query)
}

#[test]
fn a_minute_without_a_number_is_unknown_and_never_zero() {
    let resource = account("a");
    let data = json!([
        { "timeStamp": "2026-03-02T09:00:00Z", "maximum": 40.5 },
        { "timeStamp": "2026-03-02T09:01:00Z" },
        { "timeStamp": "2026-03-02T09:02:00Z", "maximum": 0.0 },
    ]);
    let value = json!([metric("NormalizedRUConsumption", &[("runs", data)])]);
    let query = query(&["NormalizedRUConsumption"], 100);
    let answers = read(json!([of(&resource, "PT1M", value)]), &[resource], &query);
    let metrics = answers[0].1.as_ref().expect("metrics");
    let series = &metrics[0].series[0];
    assert_eq!(series.dimension("CollectionName"), Some("runs"));
    let values: Vec<Option<f64>> = series.points.iter().map(|p| p.value).collect();
    assert_eq!(values, [Some(40.5), None, Some(0.0)]);
}

#[test]
fn each_resource_of_a_batch_has_an_answer_of_its_own() {
    let (good, lost, odd) = (account("good"), account("lost"), account("odd"));
    let value = || json!([metric("NormalizedRUConsumption", &[])]);
    let query = query(&["NormalizedRUConsumption"], 100);
    let resources = [lost, odd.clone(), good.clone()];
    let values = json!([of(&good, "PT1M", value()), of(&odd, "PT5M", value())]);
    let answers = read(values, &resources, &query);
    let order: Vec<&str> = answers.iter().map(|(id, _)| id.name()).collect();
    assert_eq!(order, ["lost", "odd", "good"]);
    let lost = answers[0].1.as_ref().expect_err("left out");
    assert!(matches!(**lost, Error::Partial { .. }), "{lost}");
    // Totals of five minutes are no totals of one.
    let odd = answers[1].1.as_ref().expect_err("another interval");
    assert!(matches!(**odd, Error::Unexpected { .. }), "{odd}");
    assert!(answers[2].1.is_ok());
}

#[test]
fn what_is_wrong_with_one_metric_is_told_and_takes_no_other_with_it() {
    let answer = json!({
        "timespan": "2026-03-02T09:00:00Z/2026-03-02T09:03:00Z",
        "interval": "PT1M",
        "value": [
            {
                "id": "/x", "type": "Microsoft.Insights/metrics", "unit": "Count",
                "name": { "value": "TotalRequests" },
                "timeseries": [],
                "errorCode": "InvalidSamplingType",
                "errorMessage": "there is no maximum of it",
            },
            metric("NormalizedRUConsumption", &[("runs", json!([])), ("files", json!([]))]),
        ],
    });
    let answer: Metrics = serde_json::from_value(answer).expect("an answer");
    let asked = [
        "NormalizedRUConsumption",
        "TotalRequests",
        "TotalRequestUnits",
    ];
    let metrics = answer.read(&query(&asked, 2), "x").expect("metrics");
    let told = |metric: &Metric| {
        let failed = metric.failed.clone();
        (metric.name.clone(), metric.series.len(), failed, metric.cut)
    };
    let told: Vec<_> = metrics.iter().map(told).collect();
    let failed = |why: &str| Some(why.to_owned());
    assert_eq!(
        told,
        [
            // As many as were allowed: there may be more.
            ("NormalizedRUConsumption".into(), 2, None, true),
            (
                "TotalRequests".into(),
                0,
                failed("InvalidSamplingType: there is no maximum of it"),
                false
            ),
            (
                "TotalRequestUnits".into(),
                0,
                failed("the answer leaves it out"),
                false
            ),
        ]
    );
}

#[test]
fn names_in_a_filter_stay_names() {
    let filter = format!(
        "{} and {}",
        each(&["DatabaseName"]),
        one_of("CollectionName", &["runs", "x' or Region eq '*"])
    );
    assert_eq!(
        filter,
        "DatabaseName eq '*' and CollectionName eq 'runs' or CollectionName eq 'x'' or Region eq ''*'"
    );
    let mut url = reqwest::Url::parse("http://127.0.0.1/x?api-version=1").expect("a URL");
    let query = Query {
        filter: Some("A eq 'b+c'".into()),
        ..query(&["M"], 7)
    };
    add(&mut url, "N/k", &query, "$filter", &[]);
    assert_eq!(
        url.query(),
        Some(
            "api-version=1&interval=PT1M&metricnamespace=N%2Fk&metricnames=M&aggregation=maximum&top=7\
             &%24filter=A%20eq%20%27b%2Bc%27"
        )
    );
}
