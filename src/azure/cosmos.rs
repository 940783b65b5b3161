//! Cosmos DB through Azure Resource Manager: only there can throughput be read and replaced with
//! an Entra token.
//!
//! Source: Cosmos DB resource provider 2024-08-15, `SqlResources`.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Action, Azure, Call, Error, Permit, Plane};
use crate::domain::{Capacity, IndexingPolicy, PropertyPath, ResourceId};

const API_VERSION: &str = "2024-08-15";

pub const READ_ACCOUNT: Action = Action("Microsoft.DocumentDB/databaseAccounts/read");
pub const READ_CONTAINERS: Action =
    Action("Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/read");
pub const WRITE_CONTAINER: Action =
    Action("Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/write");
pub const READ_THROUGHPUT: Action =
    Action("Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/throughputSettings/read");
pub const WRITE_THROUGHPUT: Action = Action(
    "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/throughputSettings/write",
);

/// The same of what the containers of a database share.
pub const READ_DATABASE_THROUGHPUT: Action =
    Action("Microsoft.DocumentDB/databaseAccounts/sqlDatabases/throughputSettings/read");
pub const WRITE_DATABASE_THROUGHPUT: Action =
    Action("Microsoft.DocumentDB/databaseAccounts/sqlDatabases/throughputSettings/write");

/// An account, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub location: String,
    /// How many regions have its data, each with all of the throughput.
    pub regions: u32,
    /// Without provisioned throughput: nothing can be set.
    pub serverless: bool,
    /// Regions that take writes.
    pub write_regions: Vec<String>,
    /// A capability with which indexing policies have parts that this version of the API does not
    /// show, and would lose.
    pub hides_indexes: Option<String>,
}

/// The capabilities that bring vector and full text indexes.
const HIDING: [&str; 2] = ["EnableNoSQLVectorSearch", "EnableNoSQLFullTextSearch"];

/// A container, as far as its index goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub policy: IndexingPolicy,
    /// Partition and unique keys.
    pub keys: Vec<PropertyPath>,
}

/// What a container or database may use, and how far that can be moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throughput {
    pub capacity: Capacity,
    /// The least that Azure allows now, in RU/s.
    pub minimum: u32,
    /// Up to here a change is made at once; above, partitions are split for hours. RU/s.
    pub instant_maximum: Option<u32>,
    /// An earlier change is still being carried out.
    pub pending: bool,
}

/// Reads an account.
pub async fn account(azure: &Azure, id: &ResourceId) -> Result<Account, Error> {
    #[derive(Deserialize)]
    struct Body {
        location: String,
        properties: Properties,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Properties {
        #[serde(default)]
        capabilities: Vec<Named>,
        #[serde(default)]
        write_locations: Vec<Region>,
        #[serde(default)]
        locations: Vec<Region>,
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Region {
        location_name: String,
    }
    let url = azure.arm(id.as_str(), API_VERSION)?;
    let body: Body = azure
        .get(Plane::Arm, url, READ_ACCOUNT, id.as_str())
        .await?;
    let has = |name: &&&str| {
        let capabilities = body.properties.capabilities.iter();
        capabilities.into_iter().any(|c| c.name == **name)
    };
    let hides_indexes = HIDING.iter().find(has).map(|name| (*name).to_owned());
    let regions = body.properties.locations.len();
    Ok(Account {
        hides_indexes,
        regions: u32::try_from(regions).unwrap_or(u32::MAX).max(1),
        location: body.location,
        serverless: body
            .properties
            .capabilities
            .iter()
            .any(|c| c.name == "EnableServerless"),
        write_regions: body
            .properties
            .write_locations
            .into_iter()
            .map(|r| r.location_name)
            .collect(),
    })
}

/// The names of a database's containers.
pub async fn containers(azure: &Azure, database: &ResourceId) -> Result<Vec<String>, Error> {
    #[derive(Deserialize)]
    struct Row {
        name: String,
    }
    let url = azure.arm(&format!("{database}/containers"), API_VERSION)?;
    let rows: Vec<Row> = azure
        .list(Plane::Arm, url, READ_CONTAINERS, database.as_str())
        .await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

/// Reads a container.
pub async fn container(azure: &Azure, id: &ResourceId) -> Result<Container, Error> {
    let body = raw(azure, id).await?;
    let resource = &body["properties"]["resource"];
    let unique = resource["uniqueKeyPolicy"]["uniqueKeys"].as_array();
    let lists = unique.into_iter().flatten().map(|key| &key["paths"]);
    let keys = lists
        .chain([&resource["partitionKey"]["paths"]])
        .flat_map(|paths| paths.as_array().into_iter().flatten())
        .filter_map(|path| path.as_str()?.parse().ok())
        .collect();
    Ok(Container {
        policy: policy_of(&body),
        keys,
    })
}

/// Replaces the indexing policy of a container and waits for Azure, which then builds the index in
/// the background. All else of the container stays as it is, also what is not known here: the whole
/// of it is read just before, and sent back.
///
/// Errors: [`Error::Changed`] if the policy is not `from` any more; nothing is sent then.
pub async fn set_indexing(
    azure: &Azure,
    id: &ResourceId,
    from: &IndexingPolicy,
    to: &IndexingPolicy,
    permit: &dyn Permit,
) -> Result<(), Error> {
    let found = raw(azure, id).await?;
    if !policy_of(&found).is_same(from) {
        return Err(Error::Changed {
            what: id.to_string(),
            code: "another indexing policy".into(),
        });
    }
    let mut resource = found["properties"]["resource"].clone();
    if let Some(fields) = resource.as_object_mut() {
        // What Azure itself keeps of it.
        fields.retain(|name, _| !name.starts_with('_'));
    }
    resource["indexingPolicy"] = to.json().clone();
    let mut body = json!({ "properties": { "resource": resource, "options": {} } });
    for name in ["location", "tags", "identity"] {
        if !found[name].is_null() {
            body[name] = found[name].clone();
        }
    }
    let url = azure.arm(id.as_str(), API_VERSION)?;
    let call = Call::new(Plane::Arm, Method::PUT, url, WRITE_CONTAINER, id.as_str())
        .body(body)
        .permit(permit);
    azure.finish(&call).await
}

async fn raw(azure: &Azure, id: &ResourceId) -> Result<Value, Error> {
    let url = azure.arm(id.as_str(), API_VERSION)?;
    let body: Value = azure
        .get(Plane::Arm, url, READ_CONTAINERS, id.as_str())
        .await?;
    if body["properties"]["resource"]["id"].is_string() {
        return Ok(body);
    }
    Err(Error::Unexpected {
        what: id.to_string(),
        why: "it is no container".into(),
    })
}

fn policy_of(body: &Value) -> IndexingPolicy {
    let policy = &body["properties"]["resource"]["indexingPolicy"];
    IndexingPolicy::new(if policy.is_null() {
        json!({})
    } else {
        policy.clone()
    })
}

/// Reads the throughput of a container or database; `None` if it has none of its own, since it
/// shares that of its database or the account is serverless.
pub async fn throughput(azure: &Azure, of: &ResourceId) -> Result<Option<Throughput>, Error> {
    #[derive(Deserialize)]
    struct Body {
        properties: Properties,
    }
    #[derive(Deserialize)]
    struct Properties {
        resource: Resource,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Resource {
        throughput: Option<u32>,
        autoscale_settings: Option<Autoscale>,
        // Numbers, written as text.
        minimum_throughput: Option<String>,
        instant_maximum_throughput: Option<String>,
        offer_replace_pending: Option<String>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Autoscale {
        max_throughput: u32,
    }
    let answer: Result<Body, Error> = azure
        .get(
            Plane::Arm,
            settings(azure, of)?,
            if is_container(of) {
                READ_THROUGHPUT
            } else {
                READ_DATABASE_THROUGHPUT
            },
            of.as_str(),
        )
        .await;
    let found = match answer {
        Ok(body) => body.properties.resource,
        Err(Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let unexpected = |why: &str| Error::Unexpected {
        what: of.to_string(),
        why: why.to_owned(),
    };
    let number = |text: &Option<String>| text.as_deref().and_then(|t| t.parse().ok());
    let capacity = match (found.autoscale_settings, found.throughput) {
        (Some(autoscale), _) => Capacity::Autoscale(autoscale.max_throughput),
        (None, Some(ru)) => Capacity::Manual(ru),
        (None, None) => return Err(unexpected("neither throughput nor autoscaleSettings")),
    };
    Ok(Some(Throughput {
        capacity,
        minimum: number(&found.minimum_throughput)
            .ok_or_else(|| unexpected("minimumThroughput is no number"))?,
        instant_maximum: number(&found.instant_maximum_throughput),
        pending: found.offer_replace_pending.as_deref() == Some("true"),
    }))
}

/// Sets the throughput of a container or database, and waits for Azure. The mode stays as it is:
/// Azure changes it in another way. Asking twice for the same is harmless.
///
/// `location` is that of the account.
pub async fn set_throughput(
    azure: &Azure,
    of: &ResourceId,
    location: &str,
    to: Capacity,
    permit: &dyn Permit,
) -> Result<(), Error> {
    let resource = match to {
        Capacity::Manual(ru) => json!({ "throughput": ru }),
        Capacity::Autoscale(ru) => json!({ "autoscaleSettings": { "maxThroughput": ru } }),
    };
    let url = settings(azure, of)?;
    let action = if is_container(of) {
        WRITE_THROUGHPUT
    } else {
        WRITE_DATABASE_THROUGHPUT
    };
    let call = Call::new(Plane::Arm, Method::PUT, url, action, of.as_str())
        .body(json!({
            "location": location,
            "properties": { "resource": resource },
        }))
        .permit(permit);
    azure.finish(&call).await
}

/// Whether it names a container, and not a database.
fn is_container(of: &ResourceId) -> bool {
    let mut parts = of.as_str().rsplit('/').skip(1);
    parts
        .next()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("containers"))
}

fn settings(azure: &Azure, of: &ResourceId) -> Result<reqwest::Url, Error> {
    azure.arm(&format!("{of}/throughputSettings/default"), API_VERSION)
}
