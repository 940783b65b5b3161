//! What Resource Manager and Graph show, and what becomes of what is changed there.

use reqwest::Method;
use serde_json::json;

use super::{ACCOUNT, APPS, Azure, COSMOS, DATABASE, GROUP, STORAGE, send, text};

#[tokio::test]
async fn an_app_is_scaled_by_a_new_revision_and_restarted_by_new_replicas() {
    let azure = Azure::start().await;
    let app = "providers/Microsoft.App/containerApps/agent-api";
    let replicas = async |revision: &str| {
        let path = format!("{app}/revisions/{revision}/replicas");
        let (names, _) = azure.names(&path, APPS).await;
        names
    };
    let before = replicas("agent-api--a1b2c3").await;
    assert_eq!(before.len(), 2);
    let restart = format!("{app}/revisions/agent-api--a1b2c3/restart");
    let answer = send(azure.request(Method::POST, &restart, APPS)).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    let after = replicas("agent-api--a1b2c3").await;
    assert_eq!(after.len(), 2);
    assert!(before.iter().all(|name| !after.contains(name)), "{after:?}");
    let old = format!("{app}/revisions/agent-api--0f9e8d/restart");
    assert_eq!(
        send(azure.request(Method::POST, &old, APPS)).await.status,
        400
    );

    let scale = |low: i64, high: i64| {
        json!({ "location": "japaneast", "properties": { "template": { "scale": {
            "minReplicas": low, "maxReplicas": high,
        } } } })
    };
    let refused = azure.write(Method::PATCH, app, APPS, &scale(5, 4)).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    let answer = azure.write(Method::PATCH, app, APPS, &scale(3, 10)).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let state = async || azure.get(app, APPS).await.json()["properties"].clone();
    assert_eq!(state().await["provisioningState"], "InProgress");
    azure.wait();
    let result = azure
        .world
        .http
        .get(answer.header("location"))
        .bearer_auth(&azure.arm);
    assert_eq!(send(result).await.status, 200);
    let now = state().await;
    assert_eq!(now["provisioningState"], "Succeeded");
    assert_eq!(now["template"]["scale"]["minReplicas"], 3);
    let rules = now["template"]["scale"]["rules"].as_array();
    assert_eq!(rules.map(Vec::len), Some(1), "what was not sent stays");
    let newest = text(&now["latestReadyRevisionName"]);
    assert_ne!(newest, "agent-api--a1b2c3");
    assert_eq!(replicas(newest).await.len(), 3);
    assert_eq!(replicas("agent-api--a1b2c3").await, [""; 0]);
    let gone = azure
        .get(&format!("{app}/revisions/agent-api--a1b2c3"), APPS)
        .await;
    assert_eq!(gone.json()["properties"]["active"], false);
    assert_eq!(
        azure.changes().await,
        [
            "agent-api--a1b2c3: restarted",
            "agent-api: replicas 2-10 -> 3-10"
        ]
    );
}

#[tokio::test]
async fn lists_come_page_by_page() {
    let azure = Azure::start().await;
    let revisions = "providers/Microsoft.App/containerApps/agent-api/revisions";
    let containers = format!("{ACCOUNT}/blobServices/default/containers");
    let tables = "providers/Microsoft.OperationalInsights/workspaces/log-agents-jpe/tables";
    for (path, version, count, pages) in [
        ("providers/Microsoft.App/containerApps", APPS, 2, 2),
        (revisions, APPS, 2, 2),
        (containers.as_str(), STORAGE, 7, 3),
        (&format!("{containers}?$maxpagesize=7"), STORAGE, 7, 1),
        (&format!("{DATABASE}/containers"), COSMOS, 5, 1),
        (tables, "2022-10-01", 12, 1),
    ] {
        let (mut names, came) = azure.names(path, version).await;
        names.sort();
        names.dedup();
        assert_eq!((names.len(), came), (count, pages), "{path}: {names:?}");
    }
    let missing = "providers/Microsoft.App/containerApps/none/revisions";
    let refused = azure.get(missing, APPS).await;
    assert_eq!(refused.refusal(), (404, "ResourceNotFound".into()));
}

#[tokio::test]
async fn every_resource_of_the_estate_is_shown_and_nothing_else() {
    let azure = Azure::start().await;
    let account = "providers/Microsoft.DocumentDB/databaseAccounts/cosmos-agents-jpe";
    let workspace = "providers/Microsoft.OperationalInsights/workspaces/log-agents-jpe";
    let database_offer = format!("{DATABASE}/throughputSettings/default");
    for (path, version, name) in [
        (account, COSMOS, "cosmos-agents-jpe"),
        (&format!("{DATABASE}/containers/runs"), COSMOS, "runs"),
        (&database_offer, COSMOS, "default"),
        (
            "providers/Microsoft.App/containerApps/agent-worker",
            APPS,
            "agent-worker",
        ),
        (
            "providers/Microsoft.App/managedEnvironments/cae-jpe",
            APPS,
            "cae-jpe",
        ),
        (ACCOUNT, STORAGE, "stagentsjpe"),
        (
            "providers/Microsoft.KeyVault/vaults/kv-agents-jpe",
            "2023-07-01",
            "kv-agents-jpe",
        ),
        (workspace, "2023-09-01", "log-agents-jpe"),
    ] {
        let answer = azure.get(path, version).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert_eq!(text(&answer.json()["name"]), name);
        assert!(!answer.header("etag").is_empty(), "{path}");
        let other = path
            .replace("-jpe", "-jpx")
            .replace("/runs", "/walks")
            .replace("worker", "x")
            .replace("stagents", "stnobody");
        let other = azure.get(&other, version).await;
        assert_eq!(other.status, 404, "{path}: {}", other.text);
    }
}

#[tokio::test]
async fn containers_tell_how_they_are_kept() {
    let azure = Azure::start().await;
    let all = azure
        .get(
            &format!("{ACCOUNT}/blobServices/default/containers?$maxpagesize=50"),
            STORAGE,
        )
        .await
        .json();
    let told: Vec<String> = all["value"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| {
            let properties = &row["properties"];
            format!(
                "{} hold={} policy={}",
                text(&row["name"]),
                properties["hasLegalHold"],
                properties["hasImmutabilityPolicy"],
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "access-logs hold=false policy=true",
            "app-logs hold=false policy=false",
            "audit-logs hold=true policy=false",
            "evidence hold=false policy=false",
            "gateway-logs hold=false policy=false",
            "journal-copies hold=false policy=false",
            "reports hold=false policy=false",
        ]
    );
    // Lists leave marks out; each container tells its own.
    assert!(!all.to_string().contains("metadata"), "{all}");
    for (name, mark) in [("evidence", "evidence"), ("reports", "report-source")] {
        let path = format!("{ACCOUNT}/blobServices/default/containers/{name}");
        let one = azure.get(&path, STORAGE).await.json();
        assert_eq!(text(&one["properties"]["metadata"]["poolkeeper"]), mark);
    }
    let path = format!("{ACCOUNT}/blobServices/default/containers/access-logs");
    let one = azure.get(&path, STORAGE).await.json();
    let policy = &one["properties"]["immutabilityPolicy"]["properties"];
    assert_eq!(policy["immutabilityPeriodSinceCreationInDays"], 365);
    let service = azure
        .get(&format!("{ACCOUNT}/blobServices/default"), STORAGE)
        .await;
    assert_eq!(service.status, 200);
    let account = azure.get(ACCOUNT, STORAGE).await.json();
    let blob = text(&account["properties"]["primaryEndpoints"]["blob"]);
    let listed = azure
        .world
        .http
        .get(format!("{blob}?comp=list"))
        .bearer_auth(&azure.blob);
    let listed = send(listed.header("x-ms-version", "2025-11-05")).await;
    assert!(
        listed.text.contains("<Name>audit-logs</Name>"),
        "{}",
        listed.text
    );
    assert!(!listed.text.contains("<Name>stagents"), "{}", listed.text);
}

#[tokio::test]
async fn a_lifecycle_policy_is_replaced_as_a_whole() {
    let azure = Azure::start().await;
    let path = format!("{ACCOUNT}/managementPolicies/default");
    let mut policy = azure.get(&path, STORAGE).await.json()["properties"]["policy"].clone();
    let rule = &policy["rules"][0]["definition"];
    assert_eq!(rule["filters"]["prefixMatch"], json!(["gateway-logs/"]));
    policy["rules"][0]["name"] = json!("gateway");
    let body = json!({ "properties": { "policy": policy } });
    let answer = azure.write(Method::PUT, &path, STORAGE, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let none = json!({ "properties": { "policy": { "rules": [] } } });
    assert_eq!(
        azure.write(Method::PUT, &path, STORAGE, &none).await.status,
        400
    );
    let after = azure.get(&path, STORAGE).await.json();
    assert_eq!(after["properties"]["policy"]["rules"][0]["name"], "gateway");
    assert_eq!(
        azure.changes().await,
        ["stagentsjpe: lifecycle rules gateway-logs-30-days -> gateway"]
    );
    let missing = format!("{ACCOUNT}/managementPolicies/other");
    let refused = azure.get(&missing, STORAGE).await;
    assert_eq!(refused.refusal(), (404, "ManagementPolicyNotFound".into()));
}

#[tokio::test]
async fn a_table_keeps_what_it_is_told_for_as_long_as_is_set() {
    let azure = Azure::start().await;
    let table =
        "providers/Microsoft.OperationalInsights/workspaces/log-agents-jpe/tables/AppTraces";
    let version = "2022-10-01";
    let set = |days: i64| json!({ "properties": { "retentionInDays": days } });
    let less = json!({ "properties": { "retentionInDays": 90, "totalRetentionInDays": 60 } });
    let refused = azure.write(Method::PATCH, table, version, &less).await;
    assert_eq!(refused.refusal(), (400, "InvalidParameter".into()));
    let answer = azure.write(Method::PATCH, table, version, &set(90)).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let state = async || azure.get(table, version).await.json()["properties"].clone();
    assert_eq!(state().await["retentionInDays"], 30);
    azure.wait();
    let poll = answer.header("azure-asyncoperation");
    let poll = send(azure.world.http.get(poll).bearer_auth(&azure.arm)).await;
    assert_eq!(poll.json()["status"], "Succeeded");
    let now = state().await;
    assert_eq!(
        (&now["retentionInDays"], &now["totalRetentionInDays"]),
        (&json!(90), &json!(90))
    );
    assert_eq!(now["provisioningState"], "Succeeded");
    assert_eq!(
        azure.changes().await,
        ["log-agents-jpe/AppTraces: retention 30 -> 90 days"]
    );
}

#[tokio::test]
async fn an_alert_is_read_at_the_scope_of_its_target() {
    let azure = Azure::start().await;
    let target = format!("{GROUP}/providers/Microsoft.App/containerApps/agent-api");
    let id = "66114d64-d9d9-478b-95c9-b789d6502101";
    let raise = async |condition| {
        let simulator = &azure.world.simulator;
        simulator
            .raise(id, &target, "agent-api cpu", "Sev2", condition)
            .await;
    };
    let path = format!("providers/Microsoft.AlertsManagement/alerts/{id}");
    assert_eq!(azure.get(&path, "2019-03-01").await.status, 404);
    raise("Fired").await;
    let inside = format!("providers/Microsoft.App/containerApps/agent-api/{path}");
    for path in [&path, &inside] {
        let alert = azure.get(path, "2019-03-01").await.json();
        let essentials = &alert["properties"]["essentials"];
        assert_eq!(essentials["monitorCondition"], "Fired", "{path}");
        assert_eq!(text(&essentials["targetResource"]), target);
    }
    let other = format!("providers/Microsoft.App/containerApps/agent-worker/{path}");
    assert_eq!(azure.get(&other, "2019-03-01").await.status, 404);
    raise("Resolved").await;
    let alert = azure.get(&path, "2019-03-01").await.json();
    assert_eq!(
        alert["properties"]["essentials"]["monitorCondition"],
        "Resolved"
    );
}

#[tokio::test]
async fn registrations_are_found_by_their_app_id() {
    let azure = Azure::start().await;
    let token = azure.world.token("https://graph.microsoft.com").await;
    let ask = async |query: &str, token: &str| {
        let url = format!(
            "{}/graph/v1.0/applications{query}",
            azure.world.simulator.url()
        );
        send(azure.world.http.get(url).bearer_auth(token)).await
    };
    let filter = "?$filter=appId eq '00000000-aaaa-4bbb-8ccc-0000000000a1'&$select=appId,passwordCredentials";
    let found = ask(filter, &token).await.json();
    let application = &found["value"][0];
    let now = azure.world.simulator.now();
    let days: Vec<i64> = application["passwordCredentials"]
        .as_array()
        .expect("secrets")
        .iter()
        .map(|secret| {
            let end = text(&secret["endDateTime"]);
            let end: chrono::DateTime<chrono::Utc> = end.parse().expect("a time");
            (end - now).num_hours()
        })
        .collect();
    assert_eq!(days, [239, -48]);
    assert!(
        application["keyCredentials"].is_null(),
        "it was not asked for"
    );
    let none = ask("?$filter=appId eq 'none'", &token).await.json();
    assert_eq!(none["value"], json!([]));
    let first = ask("", &token).await.json();
    let next = text(&first["@odata.nextLink"]);
    let second = send(azure.world.http.get(next).bearer_auth(&token))
        .await
        .json();
    assert_ne!(first["value"][0]["appId"], second["value"][0]["appId"]);
    assert!(second["@odata.nextLink"].is_null());
    let refused = ask("", &azure.arm).await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").starts_with("Bearer"));
}

#[tokio::test]
async fn the_certificate_of_a_domain_ends_soon() {
    let azure = Azure::start().await;
    let app = azure
        .get("providers/Microsoft.App/containerApps/agent-api", APPS)
        .await
        .json();
    let domain = &app["properties"]["configuration"]["ingress"]["customDomains"][0];
    let id = text(&domain["certificateId"]);
    let path = id.strip_prefix(&format!("{GROUP}/")).expect("in the group");
    let certificate = azure.get(path, APPS).await.json();
    let end = text(&certificate["properties"]["expirationDate"]);
    let end: chrono::DateTime<chrono::Utc> = end.parse().expect("a time");
    assert_eq!((end - azure.world.simulator.now()).num_days(), 19);
}
