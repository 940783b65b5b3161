//! The classic names of Application Insights (`requests`, `customDimensions`, ...), as views.
//!
//! They are what a query in the scope of the application sees; in the scope of the workspace the same
//! rows have the names of [`super::schema`]. Types are those of the classic tables: `success` is a
//! string there. Source: "Migrate to workspace-based Application Insights resources".

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::schema;
use crate::kql::types::{Schema, Type};

/// A table under its classic name.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The classic name.
    pub name: &'static str,
    /// The table that has the rows.
    pub table: &'static str,
    pub columns: Vec<ViewColumn>,
}

/// One column of a [`View`].
#[derive(Debug, Clone, PartialEq)]
pub struct ViewColumn {
    pub name: &'static str,
    pub ty: Type,
    pub source: Source,
}

/// Where a classic column comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// The table's column of this name, unchanged.
    Column(&'static str),
    /// A column of bools, as `True` and `False`; null as the empty string.
    BoolText(&'static str),
    /// The bucket that the milliseconds of this column fall into: `<250ms` to `>=5min`.
    PerformanceBucket(&'static str),
    /// The same in every row.
    Constant(&'static str),
    /// Not kept any more: null, or the empty string.
    Absent,
}

impl View {
    /// The schema of the view.
    #[must_use]
    pub fn schema(&self) -> Schema {
        let columns = self.columns.iter().map(|c| (c.name, c.ty));
        Schema::of(&columns.collect::<Vec<_>>())
    }
}

/// The view of a classic name; `None` for any other.
#[must_use]
pub fn classic(name: &str) -> Option<&'static View> {
    VIEWS.get(name)
}

/// All views, by name.
pub fn classics() -> impl Iterator<Item = &'static View> {
    VIEWS.values()
}

/// What every classic table begins with: classic name and column.
const COMMON: &str = "timestamp=TimeGenerated customDimensions=Properties appId=ResourceGUID \
    application_Version=AppVersion appName=- client_Browser=ClientBrowser client_City=ClientCity \
    client_CountryOrRegion=ClientCountryOrRegion client_IP=ClientIP client_Model=ClientModel client_OS=ClientOS \
    client_StateOrProvince=ClientStateOrProvince client_Type=ClientType cloud_RoleInstance=AppRoleInstance \
    cloud_RoleName=AppRoleName iKey=IKey itemId=- itemType=! operation_Id=OperationId \
    operation_Name=OperationName operation_ParentId=ParentId operation_SyntheticSource=SyntheticSource \
    sdkVersion=SDKVersion session_Id=SessionId user_AccountId=UserAccountId \
    user_AuthenticatedId=UserAuthenticatedId user_Id=UserId";

/// Classic name, table, `itemType`, and the columns after the common ones. `?` makes text of a bool,
/// `~` a performance bucket, `!` is the `itemType`; `-` is absent, with its type.
const CLASSICS: &[(&str, &str, &str, &str)] = &[
    (
        "requests",
        "AppRequests",
        "request",
        "itemCount=ItemCount customMeasurements=Measurements duration=DurationMs id=Id name=Name \
         performanceBucket=~DurationMs resultCode=ResultCode source=Source success=?Success url=Url",
    ),
    (
        "dependencies",
        "AppDependencies",
        "dependency",
        "itemCount=ItemCount customMeasurements=Measurements data=Data duration=DurationMs id=Id name=Name \
         performanceBucket=~DurationMs resultCode=ResultCode success=?Success target=Target \
         type=DependencyType",
    ),
    (
        "traces",
        "AppTraces",
        "trace",
        "itemCount=ItemCount customMeasurements=Measurements message=Message severityLevel=SeverityLevel",
    ),
    (
        "exceptions",
        "AppExceptions",
        "exception",
        "itemCount=ItemCount customMeasurements=Measurements assembly=Assembly details=Details \
         handledAt=HandledAt innermostAssembly=InnermostAssembly innermostMessage=InnermostMessage \
         innermostMethod=InnermostMethod innermostType=InnermostType message=Message method=Method \
         outerAssembly=OuterAssembly outerMessage=OuterMessage outerMethod=OuterMethod outerType=OuterType \
         problemId=ProblemId severityLevel=SeverityLevel type=ExceptionType",
    ),
    (
        "customMetrics",
        "AppMetrics",
        "customMetric",
        // `value` was always the sum of what was pre-aggregated.
        "name=Name value=Sum valueCount=ItemCount valueMax=Max valueMin=Min valueSum=Sum \
         valueStdDev=-real",
    ),
    (
        "customEvents",
        "AppEvents",
        "customEvent",
        "itemCount=ItemCount customMeasurements=Measurements name=Name",
    ),
    (
        "availabilityResults",
        "AppAvailabilityResults",
        "availabilityResult",
        "itemCount=ItemCount customMeasurements=Measurements duration=DurationMs id=Id location=Location \
         message=Message name=Name performanceBucket=~DurationMs size=-real success=?Success",
    ),
];

static VIEWS: LazyLock<BTreeMap<&'static str, View>> = LazyLock::new(|| {
    let read =
        |(name, table, item, own): &(&'static str, &'static str, &'static str, &'static str)| {
            let pairs = COMMON.split_whitespace().chain(own.split_whitespace());
            let columns = pairs.map(|pair| column(table, item, pair)).collect();
            let view = View {
                name,
                table,
                columns,
            };
            (*name, view)
        };
    CLASSICS.iter().map(read).collect()
});

fn column(table: &str, item: &'static str, pair: &'static str) -> ViewColumn {
    let (name, from) = pair.split_once('=').expect("the lists are pairs");
    let (ty, source) = if from == "!" {
        (Type::String, Source::Constant(item))
    } else if let Some(of) = from.strip_prefix('?') {
        (Type::String, Source::BoolText(of))
    } else if let Some(of) = from.strip_prefix('~') {
        (Type::String, Source::PerformanceBucket(of))
    } else if let Some(ty) = from.strip_prefix('-') {
        (Type::from_name(ty).unwrap_or(Type::String), Source::Absent)
    } else {
        let schema = schema(table).expect("a view is of a table");
        let at = schema
            .index(from)
            .expect("a view names columns of its table");
        (schema.fields[at].ty, Source::Column(from))
    };
    ViewColumn { name, ty, source }
}

/// The name of the performance bucket that a duration falls into; the last one has no end.
#[must_use]
pub fn performance_bucket(ms: f64) -> &'static str {
    const BUCKETS: [(f64, &str); 10] = [
        (250.0, "<250ms"),
        (500.0, "250ms-500ms"),
        (1e3, "500ms-1sec"),
        (3e3, "1sec-3sec"),
        (7e3, "3sec-7sec"),
        (15e3, "7sec-15sec"),
        (30e3, "15sec-30sec"),
        (60e3, "30sec-1min"),
        (120e3, "1min-2min"),
        (300e3, "2min-5min"),
    ];
    let found = BUCKETS.iter().find(|(below, _)| ms < *below);
    found.map_or(">=5min", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_reads_and_keeps_the_classic_types() {
        let cases = [
            ("requests", 37),
            ("dependencies", 38),
            ("traces", 31),
            ("exceptions", 45),
            ("customMetrics", 34),
            ("customEvents", 30),
            ("availabilityResults", 37),
        ];
        for (name, columns) in cases {
            let view = classic(name).expect("a view");
            assert_eq!(view.columns.len(), columns, "{name}");
        }
        assert_eq!(classics().count(), cases.len());
        let schema = classic("requests").expect("a view").schema();
        for (name, ty) in [
            ("timestamp", Type::DateTime),
            ("success", Type::String),
            ("resultCode", Type::String),
            ("duration", Type::Real),
            ("itemCount", Type::Int),
            ("customDimensions", Type::Dynamic),
        ] {
            let at = schema.index(name).expect("a column");
            assert_eq!(schema.fields[at].ty, ty, "{name}");
        }
    }

    #[test]
    fn a_duration_falls_into_the_bucket_that_begins_with_it() {
        for (ms, bucket) in [
            (249.9, "<250ms"),
            (250.0, "250ms-500ms"),
            (2_999.0, "1sec-3sec"),
            (3e5, ">=5min"),
        ] {
            assert_eq!(performance_bucket(ms), bucket, "{ms}");
        }
    }
}
