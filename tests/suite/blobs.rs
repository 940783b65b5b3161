//! The simulated Blob service against Azurite: one script, the same answers from both.

use reqwest::Method;

use crate::azurite::{Azurite, Security};
use crate::world::World;

/// One request: method, path with query, headers, body; the status that is expected, and texts
/// that the answer's body must hold.
type Step = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    u16,
    &'static [&'static str],
);

const BLOCK: (&str, &str) = ("x-ms-blob-type", "BlockBlob");
const LIST: &str = "con?restype=container&comp=list";

const SCRIPT: &[Step] = &[
    (
        "PUT",
        "c?restype=container",
        &[],
        "",
        400,
        &["OutOfRangeInput"],
    ),
    (
        "PUT",
        "con/early",
        &[BLOCK],
        "x",
        404,
        &["ContainerNotFound"],
    ),
    ("PUT", "con?restype=container", &[], "", 201, &[]),
    (
        "PUT",
        "con?restype=container",
        &[],
        "",
        409,
        &["ContainerAlreadyExists"],
    ),
    ("GET", "?comp=list", &[], "", 200, &["<Name>con</Name>"]),
    (
        "PUT",
        "con/a/1",
        &[BLOCK, ("x-ms-meta-kind", "log")],
        "one",
        201,
        &[],
    ),
    ("PUT", "con/a/2", &[BLOCK], "two", 201, &[]),
    ("PUT", "con/b", &[BLOCK], "three", 201, &[]),
    (
        "PUT",
        "con/b",
        &[BLOCK, ("if-none-match", "*")],
        "x",
        409,
        &["BlobAlreadyExists"],
    ),
    (
        "PUT",
        "con/b",
        &[BLOCK, ("if-match", "\"0x1\"")],
        "x",
        412,
        &["ConditionNotMet"],
    ),
    ("GET", "con/b", &[], "", 200, &["three"]),
    (
        "GET",
        "con/b",
        &[("x-ms-range", "bytes=1-2")],
        "",
        206,
        &["hr"],
    ),
    (
        "GET",
        "con/b",
        &[("x-ms-range", "bytes=9-")],
        "",
        416,
        &["InvalidRange"],
    ),
    ("GET", "con/none", &[], "", 404, &["BlobNotFound"]),
    ("HEAD", "con/b", &[], "", 200, &[]),
    ("HEAD", "con/none", &[], "", 404, &[]),
    (
        "GET",
        LIST,
        &[],
        "",
        200,
        &["<Name>a/1</Name>", "<Name>b</Name>", "<NextMarker"],
    ),
    (
        "GET",
        "con?restype=container&comp=list&delimiter=/",
        &[],
        "",
        200,
        &["<BlobPrefix><Name>a/</Name>", "<Name>b</Name>"],
    ),
    (
        "GET",
        "con?restype=container&comp=list&prefix=a/&include=metadata",
        &[],
        "",
        200,
        &["<kind>log</kind>", "<Name>a/2</Name>"],
    ),
    // Metadata is replaced as a whole.
    (
        "PUT",
        "con/b?comp=metadata",
        &[("x-ms-meta-owner", "ops")],
        "",
        200,
        &[],
    ),
    (
        "GET",
        "con?restype=container&comp=list&prefix=b&include=metadata",
        &[],
        "",
        200,
        &["<owner>ops</owner>"],
    ),
    (
        "PUT",
        "con/none?comp=metadata",
        &[],
        "",
        404,
        &["BlobNotFound"],
    ),
    // Tiers.
    (
        "PUT",
        "con/b?comp=tier",
        &[("x-ms-access-tier", "Cool")],
        "",
        200,
        &[],
    ),
    (
        "GET",
        "con?restype=container&comp=list&prefix=b",
        &[],
        "",
        200,
        &["<AccessTier>Cool</AccessTier>"],
    ),
    (
        "PUT",
        "con/b?comp=tier",
        &[("x-ms-access-tier", "Warm")],
        "",
        400,
        &[],
    ),
    (
        "PUT",
        "con/none?comp=tier",
        &[("x-ms-access-tier", "Cool")],
        "",
        404,
        &["BlobNotFound"],
    ),
    // Snapshots keep a blob from being deleted alone.
    ("PUT", "con/b?comp=snapshot", &[], "", 201, &[]),
    ("PUT", "con/b", &[BLOCK], "four", 201, &[]),
    (
        "GET",
        "con?restype=container&comp=list&prefix=b&include=snapshots",
        &[],
        "",
        200,
        &["<Snapshot>"],
    ),
    ("DELETE", "con/b", &[], "", 409, &["SnapshotsPresent"]),
    (
        "DELETE",
        "con/b",
        &[("x-ms-delete-snapshots", "only")],
        "",
        202,
        &[],
    ),
    ("GET", "con/b", &[], "", 200, &["four"]),
    ("PUT", "con/b?comp=snapshot", &[], "", 201, &[]),
    (
        "DELETE",
        "con/b",
        &[("x-ms-delete-snapshots", "include")],
        "",
        202,
        &[],
    ),
    ("DELETE", "con/b", &[], "", 404, &["BlobNotFound"]),
    // Leases.
    (
        "PUT",
        "con/a/1?comp=lease",
        &[
            ("x-ms-lease-action", "acquire"),
            ("x-ms-lease-duration", "5"),
        ],
        "",
        400,
        &[],
    ),
    (
        "PUT",
        "con/a/1?comp=lease",
        &[
            ("x-ms-lease-action", "acquire"),
            ("x-ms-lease-duration", "15"),
            (
                "x-ms-proposed-lease-id",
                "11111111-2222-4333-8444-555555555555",
            ),
        ],
        "",
        201,
        &[],
    ),
    (
        "PUT",
        "con/a/1?comp=lease",
        &[
            ("x-ms-lease-action", "acquire"),
            ("x-ms-lease-duration", "15"),
        ],
        "",
        409,
        &["LeaseAlreadyPresent"],
    ),
    ("PUT", "con/a/1", &[BLOCK], "x", 412, &["LeaseIdMissing"]),
    ("DELETE", "con/a/1", &[], "", 412, &["LeaseIdMissing"]),
    (
        "PUT",
        "con/a/1",
        &[
            BLOCK,
            ("x-ms-lease-id", "99999999-2222-4333-8444-555555555555"),
        ],
        "x",
        412,
        &["LeaseIdMismatchWithBlobOperation"],
    ),
    (
        "PUT",
        "con/a/1",
        &[
            BLOCK,
            ("x-ms-lease-id", "11111111-2222-4333-8444-555555555555"),
        ],
        "held",
        201,
        &[],
    ),
    (
        "PUT",
        "con/a/1?comp=lease",
        &[
            ("x-ms-lease-action", "renew"),
            ("x-ms-lease-id", "11111111-2222-4333-8444-555555555555"),
        ],
        "",
        200,
        &[],
    ),
    (
        "PUT",
        "con/a/1?comp=lease",
        &[
            ("x-ms-lease-action", "release"),
            ("x-ms-lease-id", "11111111-2222-4333-8444-555555555555"),
        ],
        "",
        200,
        &[],
    ),
    (
        "PUT",
        "con/a/1",
        &[
            BLOCK,
            ("x-ms-lease-id", "11111111-2222-4333-8444-555555555555"),
        ],
        "x",
        412,
        &["LeaseNotPresentWithBlobOperation"],
    ),
    // Appending.
    (
        "PUT",
        "con/log",
        &[("x-ms-blob-type", "AppendBlob")],
        "",
        201,
        &[],
    ),
    (
        "PUT",
        "con/log?comp=appendblock",
        &[("x-ms-blob-condition-appendpos", "0")],
        "one",
        201,
        &[],
    ),
    (
        "PUT",
        "con/log?comp=appendblock",
        &[("x-ms-blob-condition-appendpos", "0")],
        "two",
        412,
        &["AppendPositionConditionNotMet"],
    ),
    ("PUT", "con/log?comp=appendblock", &[], "two", 201, &[]),
    ("GET", "con/log", &[], "", 200, &["onetwo"]),
    (
        "PUT",
        "con/a/2?comp=appendblock",
        &[],
        "x",
        409,
        &["InvalidBlobType"],
    ),
    (
        "PUT",
        "con/a/2?comp=tier",
        &[("x-ms-access-tier", "Archive")],
        "",
        200,
        &[],
    ),
    ("GET", "con/a/2", &[], "", 409, &["BlobArchived"]),
    ("DELETE", "con?restype=container", &[], "", 202, &[]),
    ("GET", "con/a/1", &[], "", 404, &["ContainerNotFound"]),
];

async fn play(blob_url: &str) -> Vec<String> {
    let (base, sas) = blob_url.split_once('?').expect("a signature");
    let http = reqwest::Client::new();
    let mut wrong = Vec::new();
    for (number, (method, path, headers, body, status, texts)) in SCRIPT.iter().enumerate() {
        let mark = if path.contains('?') { '&' } else { '?' };
        let mut request = http
            .request(
                Method::from_bytes(method.as_bytes()).expect("a method"),
                format!("{base}/{path}{mark}{sas}"),
            )
            .header("x-ms-version", "2025-11-05");
        for (name, value) in *headers {
            request = request.header(*name, *value);
        }
        if matches!(*method, "PUT") {
            request = request.body(*body).header("content-length", body.len());
        }
        let answer = request.send().await.expect("an answer");
        let found = answer.status().as_u16();
        let error = answer.headers().get("x-ms-error-code").cloned();
        let text = answer.text().await.expect("text");
        let missing: Vec<_> = texts
            .iter()
            .filter(|t| !text.contains(**t) && error.as_ref().is_none_or(|e| *t != e))
            .collect();
        if found != *status || !missing.is_empty() {
            wrong.push(format!(
                "{number} {method} {path}: {found} {error:?}, missing {missing:?} in {text}"
            ));
        }
    }
    wrong
}

#[tokio::test]
async fn the_simulator_answers_as_azurite_does() {
    let azurite = Azurite::start(Security::SignatureOverHttp).await;
    let url = azurite.settings()["POOLKEEPER_BLOB_ENDPOINT"].clone();
    let wrong = play(&url).await;
    assert!(wrong.is_empty(), "Azurite: {wrong:#?}");
    let world = World::start().await;
    let wrong = play(&world.simulator.blob_url()).await;
    assert!(wrong.is_empty(), "the simulator: {wrong:#?}");
}
