//! Log Analytics through Azure Resource Manager: the tables of a workspace and what they keep.
//!
//! Source: Operational Insights resource provider 2022-10-01, `Tables`; 2023-09-01, `Workspaces`.

use serde::Deserialize;

use super::{Action, Azure, Error, Plane};
use crate::domain::ResourceId;

const API_VERSION: &str = "2022-10-01";
const WORKSPACE_VERSION: &str = "2023-09-01";

pub const READ_WORKSPACE: Action = Action("Microsoft.OperationalInsights/workspaces/read");
pub const READ_TABLES: Action = Action("Microsoft.OperationalInsights/workspaces/tables/read");

/// A table of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    /// How long it is kept for queries, days.
    pub retention_days: u32,
    /// How long it is kept at all, days.
    pub total_retention_days: u32,
}

/// The id by which the query API knows a workspace.
pub async fn customer_id(azure: &Azure, workspace: &ResourceId) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Body {
        properties: Properties,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Properties {
        customer_id: String,
    }
    let url = azure.arm(workspace.as_str(), WORKSPACE_VERSION)?;
    let body: Body = azure
        .get(Plane::Arm, url, READ_WORKSPACE, workspace.as_str())
        .await?;
    Ok(body.properties.customer_id)
}

/// The tables of a workspace. One whose retention Azure does not name is left out.
pub async fn tables(azure: &Azure, workspace: &ResourceId) -> Result<Vec<Table>, Error> {
    #[derive(Deserialize)]
    struct Row {
        name: String,
        properties: Properties,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Properties {
        retention_in_days: Option<i64>,
        total_retention_in_days: Option<i64>,
    }
    let url = azure.arm(&format!("{workspace}/tables"), API_VERSION)?;
    let rows: Vec<Row> = azure
        .list(Plane::Arm, url, READ_TABLES, workspace.as_str())
        .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let retention = u32::try_from(row.properties.retention_in_days?).ok()?;
            let total = row
                .properties
                .total_retention_in_days
                .and_then(|days| u32::try_from(days).ok());
            Some(Table {
                name: row.name,
                retention_days: retention,
                total_retention_days: total.unwrap_or(retention),
            })
        })
        .collect())
}
