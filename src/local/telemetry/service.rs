//! What the service does: its operations, and what each of them calls.

/// One operation.
pub(super) struct Operation {
    pub(super) name: &'static str,
    /// Which of the estate's container apps answers it, by its place.
    pub(super) app: usize,
    /// Share of all requests, percent.
    pub(super) weight: f64,
    /// Median milliseconds on a calm system.
    pub(super) median_ms: f64,
    pub(super) sigma: f64,
    /// What success is answered with.
    pub(super) success: &'static str,
    /// Classification of the data it touches: an index into [`CLASSES`].
    pub(super) class: usize,
    pub(super) calls: &'static [(Call, f64)],
}

pub(super) const CLASSES: [&str; 3] = ["public", "internal", "confidential"];

/// What an operation may call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Call {
    /// A point read in a container.
    Read(&'static str),
    /// One of [`QUERIES`].
    Query(usize),
    Upsert(&'static str),
    Delete(&'static str),
    Search,
    BlobRead,
    BlobWrite,
    Cache,
}

/// Request units of a point read, an upsert and a delete.
pub(super) const READ_CHARGE: f64 = 1.0;
pub(super) const UPSERT_CHARGE: f64 = 10.3;
pub(super) const DELETE_CHARGE: f64 = 8.1;
/// What a refused call is charged.
pub(in crate::local) const REFUSED_CHARGE: f64 = 0.38;

/// A Cosmos query as applications send it.
pub(super) struct Query {
    pub(super) container: &'static str,
    pub(super) text: &'static str,
    /// Median request units.
    pub(super) charge: f64,
}

/// Filters and sorts over several paths: what composite indexes are for.
pub(super) const QUERIES: &[Query] = &[
    Query {
        container: "threads",
        text: "SELECT TOP 50 c.id, c.title, c.updatedAt FROM c WHERE c.tenantId = @p0 AND c.userId = @p1 \
               ORDER BY c.updatedAt DESC",
        charge: 6.2,
    },
    Query {
        container: "messages",
        text: "SELECT * FROM c WHERE c.tenantId = @p0 AND c.threadId = @p1 ORDER BY c.createdAt ASC \
               OFFSET 0 LIMIT 100",
        charge: 11.5,
    },
    Query {
        container: "messages",
        text: "SELECT c.id, c.role, c.tokens FROM c WHERE c.tenantId = @p0 AND c.role = @p1 \
               AND c.createdAt > @p2 ORDER BY c.threadId ASC, c.createdAt DESC",
        charge: 28.4,
    },
    Query {
        container: "runs",
        text: "SELECT * FROM c WHERE c.tenantId = @p0 AND c.status IN (\"queued\", \"in_progress\") \
               ORDER BY c.priority DESC, c.createdAt ASC",
        charge: 16.9,
    },
    Query {
        container: "runs",
        text: "SELECT VALUE COUNT(1) FROM c WHERE c.tenantId = @p0 AND c.status = \"failed\" \
               AND c.finishedAt >= @p1",
        charge: 4.8,
    },
    Query {
        container: "files",
        text: "SELECT c.id, c.name, c.bytes FROM c WHERE c.tenantId = @p0 AND CONTAINS(c.name, @p1, true) \
               ORDER BY c.name ASC",
        charge: 21.3,
    },
];

#[expect(clippy::too_many_arguments, reason = "a row of the table below")]
const fn op(
    name: &'static str,
    app: usize,
    weight: f64,
    median_ms: f64,
    sigma: f64,
    success: &'static str,
    class: usize,
    calls: &'static [(Call, f64)],
) -> Operation {
    Operation {
        name,
        app,
        weight,
        median_ms,
        sigma,
        success,
        class,
        calls,
    }
}

pub(super) const OPERATIONS: &[Operation] = &[
    op(
        "GET /api/threads",
        0,
        16.0,
        48.0,
        0.45,
        "200",
        1,
        &[(Call::Cache, 0.5), (Call::Query(0), 0.6)],
    ),
    op(
        "POST /api/threads",
        0,
        6.0,
        72.0,
        0.4,
        "201",
        1,
        &[(Call::Upsert("threads"), 1.0)],
    ),
    op(
        "GET /api/messages",
        0,
        22.0,
        62.0,
        0.5,
        "200",
        2,
        &[(Call::Query(1), 0.72), (Call::Query(2), 0.08)],
    ),
    op(
        "POST /api/messages",
        0,
        12.0,
        118.0,
        0.45,
        "201",
        2,
        &[(Call::Upsert("messages"), 1.0)],
    ),
    op(
        "POST /api/runs",
        1,
        7.0,
        620.0,
        0.42,
        "202",
        2,
        &[
            (Call::Query(1), 0.9),
            (Call::Search, 0.7),
            (Call::Upsert("runs"), 1.0),
        ],
    ),
    op(
        "GET /api/runs",
        1,
        12.0,
        42.0,
        0.4,
        "200",
        1,
        &[
            (Call::Read("runs"), 0.8),
            (Call::Query(3), 0.1),
            (Call::Query(4), 0.05),
        ],
    ),
    op(
        "GET /api/files",
        0,
        5.0,
        85.0,
        0.6,
        "200",
        2,
        &[(Call::Query(5), 0.15), (Call::BlobRead, 0.9)],
    ),
    op(
        "POST /api/files",
        1,
        2.0,
        340.0,
        0.6,
        "201",
        2,
        &[(Call::BlobWrite, 1.0), (Call::Upsert("files"), 1.0)],
    ),
    op(
        "POST /api/search",
        0,
        6.0,
        210.0,
        0.5,
        "200",
        1,
        &[(Call::Search, 1.0)],
    ),
    op(
        "DELETE /api/threads",
        0,
        1.0,
        66.0,
        0.4,
        "204",
        1,
        &[(Call::Delete("threads"), 1.0)],
    ),
    op(
        "GET /api/agents",
        0,
        4.0,
        24.0,
        0.35,
        "200",
        0,
        &[(Call::Cache, 0.9), (Call::Read("threads"), 0.1)],
    ),
];

/// What clients do wrong, and how often among that.
pub(super) const CLIENT_ERRORS: [(&str, f64); 6] = [
    ("400", 18.0),
    ("401", 16.0),
    ("403", 9.0),
    ("404", 34.0),
    ("409", 5.0),
    ("429", 0.3),
];

/// What the service does wrong when it is not told how, and how often among that.
pub(super) const SERVER_FAILURES: [(&str, f64); 4] =
    [("500", 46.0), ("502", 14.0), ("503", 24.0), ("504", 16.0)];

/// What is thrown for a server failure: code, type, message, method.
pub(super) const EXCEPTIONS: [(&str, &str, &str, &str); 4] = [
    (
        "500",
        "System.NullReferenceException",
        "Object reference not set to an instance of an object.",
        "Agents.Api.Messages.MessageStore.ReadAsync",
    ),
    (
        "502",
        "System.Net.Http.HttpRequestException",
        "The upstream closed the connection.",
        "Agents.Api.Upstream.ModelClient.SendAsync",
    ),
    (
        "503",
        "Microsoft.Azure.Cosmos.CosmosException",
        "Response status code does not indicate success: TooManyRequests (429); Substatus: 3200.",
        "Agents.Api.Store.CosmosStore.ExecuteAsync",
    ),
    (
        "504",
        "System.TimeoutException",
        "The operation did not complete within 30 seconds.",
        "Agents.Api.Upstream.ModelClient.SendAsync",
    ),
];

/// What the application says: message and severity level, 0 (verbose) to 4 (critical).
pub(super) const MESSAGES: [(&str, i32); 5] = [
    ("dataAccess: read granted by tenant policy", 1),
    ("dataAccess: write granted by tenant policy", 1),
    ("Thread context trimmed to the token budget", 1),
    ("Model deployment selected by route weight", 0),
    ("Cache entry expired, loading from store", 1),
];
pub(super) const THROTTLED: &str =
    "Cosmos request was throttled (429), retrying after x-ms-retry-after-ms";
pub(super) const FAILED: &str = "Request failed; see the exception of this operation";
pub(super) const DENIED: &str = "Caller is not authorized for this tenant's resource";

/// What calls to a container are: reads, queries, upserts and deletes, each with its share of them and
/// the request units that one takes. A container that the service does not know is asked as most are.
pub(in crate::local) fn mix(container: &str) -> [(f64, f64); 4] {
    let mut kinds = [(0.0, 0.0); 4];
    for operation in OPERATIONS {
        for (call, chance) in operation.calls {
            let (kind, charge) = match call {
                Call::Read(name) if *name == container => (0, READ_CHARGE),
                Call::Query(query) if QUERIES[*query].container == container => {
                    (1, QUERIES[*query].charge)
                }
                Call::Upsert(name) if *name == container => (2, UPSERT_CHARGE),
                Call::Delete(name) if *name == container => (3, DELETE_CHARGE),
                _ => continue,
            };
            let calls = operation.weight * chance;
            kinds[kind].0 += calls;
            kinds[kind].1 += calls * charge;
        }
    }
    let all: f64 = kinds.iter().map(|(calls, _)| calls).sum();
    if all <= 0.0 {
        return [
            (0.5, READ_CHARGE),
            (0.3, 8.0),
            (0.18, UPSERT_CHARGE),
            (0.02, DELETE_CHARGE),
        ];
    }
    kinds.map(|(calls, charge)| (calls / all, if calls > 0.0 { charge / calls } else { 0.0 }))
}
