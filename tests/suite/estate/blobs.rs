//! Storage accounts of the estate: what may be deleted there, and what must be kept.

use std::time::Duration;

use serde_json::json;

use super::{Azure, send};
use crate::world::World;

/// What a list of blobs says of each, by name.
async fn blobs(azure: &Azure, container: &str, more: &str) -> Vec<(String, String)> {
    let path = format!("{container}?restype=container&comp=list{more}");
    let answer = azure.blob("GET", &path, &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let blob = |part: &str| {
        let name = part.split_once("<Name>")?.1.split_once("</Name>")?.0;
        Some((name.to_owned(), part.to_owned()))
    };
    answer
        .text
        .split("<Blob>")
        .skip(1)
        .filter_map(blob)
        .collect()
}

#[tokio::test]
async fn logs_are_deleted_except_those_that_must_be_kept() {
    let azure = Azure::start().await;
    let listed = blobs(&azure, "app-logs", "&include=snapshots").await;
    let with = |mark: &str| {
        let found = listed.iter().find(|(_, xml)| xml.contains(mark));
        format!("app-logs/{}", found.expect(mark).0)
    };
    let lease =
        "<LeaseStatus>locked</LeaseStatus><LeaseState>leased</LeaseState><LeaseDuration>infinite";
    let (leased, snapped) = (with(lease), with("<Snapshot>"));
    let (audit, _) = &blobs(&azure, "audit-logs", "").await[0];
    let (access, _) = &blobs(&azure, "access-logs", "").await[0];
    let free = format!("app-logs/{}", listed[0].0);
    let before = [("if-unmodified-since", "Thu, 01 Jan 2026 00:00:00 GMT")];
    let etag = [("if-match", "\"0x1\"")];
    let none: [(&str, &str); 0] = [];
    for (name, path, headers, status, code) in [
        ("a lease", leased.as_str(), &none[..], 412, "LeaseIdMissing"),
        ("a snapshot", &snapped, &none, 409, "SnapshotsPresent"),
        (
            "a legal hold",
            &format!("audit-logs/{audit}"),
            &none,
            409,
            "BlobImmutableDueToLegalHold",
        ),
        (
            "a policy",
            &format!("access-logs/{access}"),
            &none,
            409,
            "BlobImmutableDueToPolicy",
        ),
        ("an old etag", &free, &etag, 412, "ConditionNotMet"),
        ("a write since", &free, &before, 412, "ConditionNotMet"),
        ("nothing there", "app-logs/none", &none, 404, "BlobNotFound"),
    ] {
        let answer = azure.blob("DELETE", path, headers).await;
        assert_eq!(answer.refusal(), (status, code.into()), "{name}");
    }
    let metadata = format!("audit-logs/{audit}?comp=metadata");
    let answer = azure
        .blob("PUT", &metadata, &[("x-ms-meta-kept", "no")])
        .await;
    assert_eq!(
        answer.refusal(),
        (409, "BlobImmutableDueToLegalHold".into())
    );
    assert_eq!(azure.changes().await, [""; 0], "nothing was changed");

    let answer = azure.blob("HEAD", &free, &[]).await;
    let seen = [("if-match", answer.header("etag"))];
    assert_eq!(azure.blob("DELETE", &free, &seen).await.status, 202);
    let with_snapshots = [("x-ms-delete-snapshots", "include")];
    assert_eq!(
        azure.blob("DELETE", &snapped, &with_snapshots).await.status,
        202
    );
    let simulator = &azure.world.simulator;
    // A policy ends with time, a legal hold does not.
    simulator.advance(Duration::from_secs(400 * 24 * 3600));
    let (audit, access) = (
        format!("audit-logs/{audit}"),
        format!("access-logs/{access}"),
    );
    assert_eq!(azure.blob("DELETE", &audit, &[]).await.status, 409);
    assert_eq!(azure.blob("DELETE", &access, &[]).await.status, 202);
    let lines: Vec<String> = [&free, &snapped, &access]
        .map(|path| format!("stagentsjpe/{}", path.replacen('/', ": deleted ", 1)))
        .into();
    assert_eq!(azure.changes().await, lines);
    assert_eq!(simulator.mutations().len(), 12);
}

#[tokio::test]
async fn a_blob_can_be_kept_by_itself_and_its_list_says_so() {
    let azure = Azure::on(World::start_unrecorded().await).await;
    let simulator = &azure.world.simulator;
    simulator
        .put_blob("stagentsjpe", "reports", "held.pdf", 50)
        .await;
    simulator
        .put_blob("stagentsjpe", "reports", "kept.pdf", 50)
        .await;
    let hold = [("x-ms-legal-hold", "true")];
    let answer = azure
        .blob("PUT", "reports/held.pdf?comp=legalhold", &hold)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let until = simulator.now() + chrono::Duration::days(3);
    let until = until.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let policy = [("x-ms-immutability-policy-until-date", until.as_str())];
    let path = "reports/kept.pdf?comp=immutabilityPolicies";
    assert_eq!(azure.blob("PUT", path, &policy).await.status, 200);
    let listed = blobs(&azure, "reports", "&include=immutabilitypolicy,legalhold").await;
    let xml = |name: &str| {
        &listed
            .iter()
            .find(|(known, _)| known == name)
            .expect(name)
            .1
    };
    assert!(xml("held.pdf").contains("<LegalHold>true</LegalHold>"));
    let told = format!("<ImmutabilityPolicyUntilDate>{until}</ImmutabilityPolicyUntilDate>");
    assert!(xml("kept.pdf").contains(&told), "{}", xml("kept.pdf"));
    let head = azure.blob("HEAD", "reports/held.pdf", &[]).await;
    assert_eq!(head.header("x-ms-legal-hold"), "true");
    let plain = blobs(&azure, "reports", "").await;
    assert!(plain.iter().all(|(_, xml)| !xml.contains("LegalHold")));
    for (path, code) in [
        ("reports/held.pdf", "BlobImmutableDueToLegalHold"),
        ("reports/kept.pdf", "BlobImmutableDueToPolicy"),
    ] {
        let overwrite = [("x-ms-blob-type", "BlockBlob")];
        let answer = azure.blob("PUT", path, &overwrite).await;
        assert_eq!(answer.refusal(), (409, code.into()), "{path}");
        let answer = azure.blob("DELETE", path, &[]).await;
        assert_eq!(answer.refusal(), (409, code.into()), "{path}");
    }
    simulator.advance(Duration::from_secs(4 * 24 * 3600));
    assert_eq!(
        azure.blob("DELETE", "reports/kept.pdf", &[]).await.status,
        202
    );
    assert!(
        !simulator
            .has_blob("stagentsjpe", "reports", "kept.pdf")
            .await
    );
    assert!(
        simulator
            .has_blob("stagentsjpe", "reports", "held.pdf")
            .await
    );
}

#[tokio::test]
async fn time_that_is_moved_ahead_ends_a_lease_and_stays_so() {
    let azure = Azure::on(World::start_unrecorded().await).await;
    let path = "reports/leased.pdf";
    let simulator = &azure.world.simulator;
    simulator
        .put_blob("stagentsjpe", "reports", "leased.pdf", 1)
        .await;
    let lease = [
        ("x-ms-lease-action", "acquire"),
        ("x-ms-lease-duration", "15"),
    ];
    let acquire = format!("{path}?comp=lease");
    assert_eq!(azure.blob("PUT", &acquire, &lease).await.status, 201);
    assert_eq!(
        azure.blob("DELETE", path, &[]).await.refusal().1,
        "LeaseIdMissing"
    );
    simulator.advance(Duration::from_secs(14));
    assert_eq!(azure.blob("PUT", &acquire, &lease).await.status, 409);
    let ask = azure
        .world
        .http
        .post(format!("{}/_sim/clock", simulator.url()))
        .header("x-sim-key", simulator.sim_key());
    assert_eq!(
        send(ask.json(&json!({ "advanceSeconds": 2 }))).await.status,
        204
    );
    assert_eq!(azure.blob("DELETE", path, &[]).await.status, 202);
    let hour = blobs(&azure, "app-logs", "&maxresults=1").await[0]
        .0
        .clone();
    let deleted = azure.blob("DELETE", &format!("app-logs/{hour}"), &[]).await;
    assert_eq!(deleted.status, 202);
    let before = azure.world.simulator.now();
    let world = azure.world.restart_storage().await;
    let after = world.simulator.now();
    assert!(after >= before, "{after} is not before {before}");
    let lines = [
        "stagentsjpe/reports: deleted leased.pdf".to_owned(),
        format!("stagentsjpe/app-logs: deleted {hour}"),
    ];
    assert_eq!(world.simulator.changes().await, lines);
    let there = world
        .simulator
        .has_blob("stagentsjpe", "app-logs", &hour)
        .await;
    assert!(!there, "what was deleted is not made again");
}

#[tokio::test]
async fn our_own_account_is_no_part_of_the_estate_and_others_are_not_there() {
    let azure = Azure::on(World::start_unrecorded().await).await;
    let put = [("x-ms-blob-type", "BlockBlob")];
    let own = "poolkeeperlocal";
    let made = azure
        .blob_at(own, "PUT", "con?restype=container", &[])
        .await;
    assert_eq!(made.status, 201);
    assert_eq!(azure.blob_at(own, "PUT", "con/a", &put).await.status, 201);
    let listed = azure.blob_at(own, "GET", "?comp=list", &[]).await;
    assert!(listed.text.contains("<Name>con</Name>") && !listed.text.contains("app-logs"));
    let other = azure.blob_at("stranger", "GET", "?comp=list", &[]).await;
    assert_eq!(other.refusal(), (404, "ResourceNotFound".into()));
    assert_eq!(azure.changes().await, [""; 0]);
    assert_eq!(azure.world.simulator.mutations(), [""; 0]);
    // A signature is as good as a token, for its own account.
    let signed = async |account: &str| {
        let url = azure.world.simulator.blob_url_of("stagentsjpe");
        let (_, signature) = url.split_once('?').expect("a signature");
        let url = format!(
            "{}/blob/{account}/reports?restype=container&{signature}",
            azure.world.simulator.url()
        );
        send(
            azure
                .world
                .http
                .get(url)
                .header("x-ms-version", "2025-11-05"),
        )
        .await
    };
    assert_eq!(signed("stagentsjpe").await.status, 200);
    assert_eq!(
        signed(own).await.refusal(),
        (403, "AuthenticationFailed".into())
    );
    assert_eq!(azure.blob("PUT", "reports/a.pdf", &put).await.status, 201);
    assert_eq!(azure.changes().await, ["stagentsjpe/reports: wrote a.pdf"]);
    assert_eq!(
        azure.world.simulator.mutations(),
        ["PUT /blob/stagentsjpe/reports/a.pdf"]
    );
}
